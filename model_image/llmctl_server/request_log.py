"""The request log: who asked when, how long it took and how it ended. Never what was asked.

Rows go to SQLite in batches from a thread of their own, so that no request waits for a disk. When the disk is
slower than the callers, rows are dropped and counted instead of piling up.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

_log = logging.getLogger(__name__)

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
"""The table, in SQL. Times in seconds since 1970; durations in milliseconds; `error_code` NULL on success."""

BUFFER_ROWS = 10_000
BATCH_ROWS = 1_000
PAUSE_SECONDS = 0.2
"""Time between batches, so that a busy server writes a few transactions a second."""

BUSY_SECONDS = 5.0
"""How long to wait for another replica that is writing to the same file."""


class Row(NamedTuple):
    """One request, in the order of the table's columns.

    Attributes:
        time: when it came in, in seconds since 1970.
        request_id: as in the answer's `x-request-id`.
        replica: the server that answered.
        release: the release that it belongs to; may be empty.
        model: the model's name.
        key_name: name of the API key; empty when no key was presented or none is needed.
        route: path of the route, or `unknown`.
        status: HTTP status; 499 when the client left before the answer.
        texts: texts in the request, as far as it was understood.
        tokens: tokens that the model read.
        queue_ms: time until a worker took it up.
        run_ms: time from then to the last answer.
        total_ms: time from the request's head to the answer.
        error_code: code of the error object, or None.
    """

    time: float
    request_id: str
    replica: str
    release: str
    model: str
    key_name: str
    route: str
    status: int
    texts: int
    tokens: int
    queue_ms: float
    run_ms: float
    total_ms: float
    error_code: str | None


_INSERT = f"INSERT INTO requests VALUES ({', '.join('?' * len(Row._fields))})"  # noqa: S608 - question marks only


class RequestLog:
    """Writes rows to a SQLite file in the background."""

    def __init__(self, path: Path, dropped: Callable[[int], None]) -> None:
        """Start the writer.

        Args:
            path: SQLite file; made with mode 0600 when missing.
            dropped: told of the number of rows that were given up, from any thread.
        """
        self._path = path
        self._dropped = dropped
        self._rows: SimpleQueue[Row | None] = SimpleQueue()
        self._failing = False
        self._thread = threading.Thread(target=self._write_forever, name="llmctl-request-log", daemon=True)
        self._thread.start()

    def add(self, row: Row) -> None:
        """Hand over a row. Never waits and never fails."""
        if self._rows.qsize() < BUFFER_ROWS:
            self._rows.put(row)
        else:
            self._dropped(1)

    def close(self, seconds: float) -> None:
        """Write what is left, for at most `seconds`."""
        self._rows.put(None)
        self._thread.join(seconds)

    def _write_forever(self) -> None:
        connection: sqlite3.Connection | None = None
        more = True
        while more:
            rows, more = self._collect()
            try:
                connection = connection or _connect(self._path)
                with connection:
                    connection.executemany(_INSERT, rows)
            except (sqlite3.Error, OSError) as error:
                self._give_up(rows, error)
                connection = None
            else:
                self._failing = False
            if more:
                time.sleep(PAUSE_SECONDS)
        if connection is not None:
            connection.close()

    def _collect(self) -> tuple[list[Row], bool]:
        """Wait for a row, then take what else is there; False when the log was closed."""
        rows: list[Row] = []
        while not rows or (len(rows) < BATCH_ROWS and not self._rows.empty()):
            if (row := self._rows.get()) is None:
                return rows, False
            rows.append(row)
        return rows, True

    def _give_up(self, rows: list[Row], error: Exception) -> None:
        self._dropped(len(rows))
        if not self._failing:
            _log.warning("request log %s: %s; rows are dropped until it works again", self._path, error)
        self._failing = True


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite would create the file by the umask; its -wal and -shm files take over the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL, `normal` loses the last rows in a power cut, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(SCHEMA)
    return connection
