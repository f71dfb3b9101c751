"""Logs of a local stack: lines of its processes, and rows of its request log as JSON."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from llmctl_infra.local.logs import COMPONENTS, follow_logs, read_logs
from llmctl_infra.local.logs import LogLine as ProcessLine
from llmctl_infra.local.paths import StackPaths
from llmctl_stacks.config.suggest import did_you_mean
from llmctl_stacks.errors import NotFoundError
from llmctl_stacks.results import LogLine
from llmctl_stacks.targets.target import LogQuery

REQUESTS = "requests"
_POLL_SECONDS = 0.3


def read(paths: StackPaths, query: LogQuery) -> Iterator[LogLine]:
    """Lines, oldest first; with `follow` those that come, until the caller stops.

    Raises:
        NotFoundError: when there is no such component or replica, or there are no logs.
    """
    known = (*COMPONENTS, REQUESTS)
    if query.component is not None and query.component not in known:
        fix = did_you_mean(query.component, known) or "llmctl logs"
        raise NotFoundError(f"no component {query.component!r}", f"components: {', '.join(known)}", fix)
    if query.component == REQUESTS:
        if not paths.request_log.exists():
            why = "the stack was never up, or `observability.request_log.enabled` is false"
            raise NotFoundError("there is no request log", why, "llmctl config show --origin")
        return _rows(paths.request_log, query)
    if not paths.logs.is_dir():
        raise NotFoundError("there are no logs", "the stack was never up", "llmctl up")
    if query.replica is not None:
        _check_replica(paths, query.replica)
    return _lines(paths, query)


def _check_replica(paths: StackPaths, replica: str) -> None:
    names = sorted({path.name.split(".", 1)[0] for path in paths.logs.glob("*.log*")})
    if replica not in names:
        fix = did_you_mean(replica, names) or "llmctl status"
        raise NotFoundError(f"no replica {replica!r}", f"there are logs of {', '.join(names)}", fix)


def _lines(paths: StackPaths, query: LogQuery) -> Iterator[LogLine]:
    components = (query.component,) if query.component else COMPONENTS
    coming = follow_logs(paths.root, components) if query.follow else iter(())
    found = read_logs(paths.root, components, _since(query), None if query.replica else query.lines)
    wanted = [line for line in found if query.replica in (None, line.source)]
    for line in wanted[len(wanted) - min(len(wanted), query.lines) :] if query.lines is not None else wanted:
        yield _line(line)
    for line in coming:
        if query.replica in (None, line.source):
            yield _line(line)


def _since(query: LogQuery) -> datetime | None:
    return None if query.since_seconds is None else datetime.now(UTC) - timedelta(seconds=query.since_seconds)


def _line(line: ProcessLine) -> LogLine:
    when = None if line.time is None else line.time.astimezone(UTC).isoformat(timespec="milliseconds")
    return LogLine(line.component, line.source, when, line.text)


def _rows(path: Path, query: LogQuery) -> Iterator[LogLine]:
    """Rows by their number, which grows with time."""
    since = time.time() - query.since_seconds if query.since_seconds is not None else 0.0
    newest = "SELECT rowid, * FROM requests WHERE rowid > ? AND time >= ? AND (? IS NULL OR replica = ?)"
    last, limit = 0, -1 if query.lines is None else query.lines
    while True:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                f"SELECT * FROM ({newest} ORDER BY rowid DESC LIMIT ?) ORDER BY rowid",  # noqa: S608 - a constant
                (last, since, query.replica, query.replica, limit),
            ).fetchall()
        for row in rows:
            values = dict(row)
            last = max(last, values.pop("rowid"))
            yield _row(values)
        if not query.follow:
            return
        limit = -1
        time.sleep(_POLL_SECONDS)


def _row(values: dict[str, object]) -> LogLine:
    when = datetime.fromtimestamp(float(str(values.pop("time"))), UTC).isoformat(timespec="milliseconds")
    text = json.dumps(values, separators=(",", ":"))
    return LogLine(REQUESTS, str(values["replica"]), when, text)
