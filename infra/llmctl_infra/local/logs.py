"""Reading the logs of a stack: servers, gateway, supervisor; rotated files included.

A log file is `<source>.log`; the supervisor rotates it to `<source>.log.1` and so on, the newest first. Sources
belong to components: every `server-N` to `server`; `access` (the access log) and `gateway` (Envoy's own) to
`gateway`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import BinaryIO

from llmctl_infra.local.paths import StackPaths

COMPONENTS = ("server", "gateway", "supervisor")
ACCESS_LOG, GATEWAY_LOG = "access.log", "gateway.log"
_POLL_SECONDS = 0.2
_LONGEST_TAIL = 1 << 20
_PLAIN_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{3})")  # Envoy's and supervisord's, local time
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True)
class LogLine:
    """One line of a log.

    Attributes:
        component: server, gateway or supervisor.
        source: the file's stem: `server-2`, `access`, `gateway`, `supervisor`.
        time: when it was written; that of the line before where it has none; None when no line before has one.
        text: without its end.
    """

    component: str
    source: str
    time: dt.datetime | None
    text: str


def read_logs(
    root: Path,
    components: Collection[str] = COMPONENTS,
    since: dt.datetime | None = None,
    last: int | None = None,
) -> tuple[LogLine, ...]:
    """Lines of a stack's logs in the order of their times.

    Args:
        root: folder of the stack.
        components: whose lines.
        since: leaves out older lines (and lines without any time).
        last: at most so many lines, the newest.
    """
    lines = merge(*(_read(path, since, last) for path in _current(root, components)), key=_when)
    return tuple(deque(lines, maxlen=last))


def follow_logs(
    root: Path, components: Collection[str] = COMPONENTS, stop: Callable[[], bool] = lambda: False
) -> Iterator[LogLine]:
    """New lines as they are written, also by processes that start later and across rotations; until `stop`."""
    followed = {path: _Followed(path, at_end=True) for path in _current(root, components)}
    while not stop():
        for path in _current(root, components):
            if path not in followed:
                followed[path] = _Followed(path, at_end=False)
        quiet = True
        for each in followed.values():
            for line in each.new_lines():
                quiet = False
                yield line
        if quiet:
            time.sleep(_POLL_SECONDS)
    for each in followed.values():
        each.close()


def tail(path: Path, lines: int, start: int = 0) -> tuple[str, ...]:
    """The last lines of one file, oldest first; none when there is no file.

    Args:
        path: of the file.
        lines: how many at most.
        start: byte from which on lines count.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(start if start <= size else 0, size - _LONGEST_TAIL))
            return tuple(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ()


def line_time(text: str) -> dt.datetime | None:
    """The time that a line carries: the field `time` of a JSON line, or a date at its beginning."""
    if text.startswith("{"):
        try:
            return dt.datetime.fromisoformat(str(json.loads(text)["time"]))
        except (ValueError, KeyError, TypeError):
            return None
    if found := _PLAIN_TIME.match(text):
        return dt.datetime.fromisoformat(found[1].replace(",", ".")).astimezone()
    return None


class _Followed:
    """One file that grows, is rotated away and begins anew."""

    def __init__(self, path: Path, *, at_end: bool) -> None:
        self._path = path
        self._file: BinaryIO | None = path.open("rb")
        self._inode = path.stat().st_ino
        self._rest = b""
        self._time: dt.datetime | None = None
        if at_end:
            self._file.seek(0, 2)

    def new_lines(self) -> Iterator[LogLine]:
        yield from self._drain()
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            return
        if inode != self._inode:
            yield from self._drain()  # what came between the read and the rotation
            self.close()
            self._file, self._inode = self._path.open("rb"), inode
            yield from self._drain()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _drain(self) -> Iterator[LogLine]:
        assert self._file is not None
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        for raw in whole:
            line = _line(self._path, raw.decode(errors="replace"), self._time)
            self._time = line.time
            yield line


def _current(root: Path, components: Collection[str]) -> list[Path]:
    return [path for path in sorted(StackPaths(root).logs.glob("*.log")) if _component(path) in components]


def _component(path: Path) -> str:
    source = path.name.split(".", 1)[0]
    return "gateway" if source == "access" else source.split("-", 1)[0]


def _read(path: Path, since: dt.datetime | None, last: int | None) -> Iterator[LogLine]:
    kept: deque[LogLine] = deque(maxlen=last)
    before: dt.datetime | None = None
    for file in _with_rotated(path):
        try:
            content = file.read_text(errors="replace")
        except FileNotFoundError:  # rotated away meanwhile
            continue
        for text in content.splitlines():
            line = _line(path, text, before)
            before = line.time
            if since is None or (line.time is not None and line.time >= since):
                kept.append(line)
    return iter(kept)


def _with_rotated(path: Path) -> list[Path]:
    """The file and what was rotated away of it, oldest first."""
    rotated = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdigit()]
    return [*sorted(rotated, key=lambda each: -int(each.suffix[1:])), path]


def _line(path: Path, text: str, before: dt.datetime | None) -> LogLine:
    return LogLine(_component(path), path.name.split(".", 1)[0], line_time(text) or before, text)


def _when(line: LogLine) -> dt.datetime:
    return line.time or _EPOCH
