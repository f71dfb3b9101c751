"""The request log of a stack: one SQLite file that all servers write and that forgets by itself.

The table is the server's (`llmctl_server.request_log`, which would make it too; a test compares the two). What is
added here is the retention: a trigger deletes what is too old as new rows come in, so that no process has to.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.base import Inputs, LocalHandler, Observed
from llmctl_infra.local.files import PRIVATE_FILE, mode_drift, private_folder, remove, remove_if_empty

SCHEMA = """\
CREATE TABLE IF NOT EXISTS requests (
    time REAL NOT NULL,
    request_id TEXT NOT NULL,
    replica TEXT NOT NULL,
    release TEXT NOT NULL,
    model TEXT NOT NULL,
    key_name TEXT NOT NULL,
    route TEXT NOT NULL,
    status INTEGER NOT NULL,
    texts INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    queue_ms REAL NOT NULL,
    run_ms REAL NOT NULL,
    total_ms REAL NOT NULL,
    error_code TEXT
);
CREATE INDEX IF NOT EXISTS requests_by_time ON requests (time);
"""
_DAY = 86_400
_ROWS_BETWEEN = 100  # how many rows come in between two looks for old ones


class RequestLogInputs(Inputs):
    """Inputs of `llmctl:local:RequestLog`.

    Attributes:
        path: of the SQLite file, mode 0600; its `-wal` and `-shm` files take the same mode.
        retention_days: age at which a row is deleted.
    """

    path: Path
    retention_days: int = Field(default=30, ge=1, le=3650)


class RequestLog(LocalHandler[RequestLogInputs]):
    """Keeps the file: journal mode WAL, so that readers and writers do not wait for each other."""

    inputs = RequestLogInputs
    replace_on = frozenset({"path"})

    def identity(self, inputs: RequestLogInputs) -> str:
        """The path of the file."""
        return str(inputs.path)

    def converge(self, inputs: RequestLogInputs) -> dict[str, Any]:
        """Make the table and set the retention; put a file that is no database aside."""
        private_folder(inputs.path.parent)
        if inputs.path.exists() and _problem(inputs) == _NO_DATABASE:
            inputs.path.rename(inputs.path.with_name(f"{inputs.path.name}.damaged"))
        inputs.path.touch(PRIVATE_FILE)
        inputs.path.chmod(PRIVATE_FILE)
        with _open(inputs.path) as log:
            log.execute("PRAGMA journal_mode = WAL")
            log.executescript(SCHEMA)
            log.executescript(f"DROP TRIGGER IF EXISTS retention; {_retention(inputs)};")
            with log:
                oldest = time.time() - inputs.retention_days * _DAY
                log.execute("DELETE FROM requests WHERE time < ?", (oldest,))
        return {}

    def observe(self, inputs: RequestLogInputs) -> Observed | None:
        """Whether the file is there, private, a database, and forgets in time."""
        if not inputs.path.exists():
            return None
        problem = _problem(inputs)
        return Observed({}, ((f"{inputs.path} {problem}",) if problem else ()) + mode_drift(inputs.path))

    def remove(self, inputs: RequestLogInputs) -> None:
        """Remove the file and its companions."""
        for suffix in ("", "-wal", "-shm"):
            remove(inputs.path.with_name(inputs.path.name + suffix))
        remove_if_empty(inputs.path.parent)


_NO_DATABASE = "is not a SQLite database"


def _problem(inputs: RequestLogInputs) -> str:
    """What is wrong with an existing file, or nothing."""
    try:
        with _open(inputs.path) as log:
            mode = log.execute("PRAGMA journal_mode").fetchone()[0]
            trigger = log.execute("SELECT sql FROM sqlite_master WHERE name = 'retention'").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise ResourceError(f"cannot read the request log {inputs.path}", str(error)) from error
        return _NO_DATABASE
    if mode != "wal":
        return f"has the journal mode {mode}, not wal"
    return "" if trigger == (_retention(inputs),) else f"does not delete rows after {inputs.retention_days} days"


def _retention(inputs: RequestLogInputs) -> str:
    when = f"AFTER INSERT ON requests WHEN NEW.rowid % {_ROWS_BETWEEN} = 0"
    oldest = f"NEW.time - {inputs.retention_days * _DAY}"
    return f"CREATE TRIGGER retention {when} BEGIN DELETE FROM requests WHERE time < {oldest}; END"  # noqa: S608 - ints


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=5)
    try:
        yield connection
    finally:
        connection.close()
