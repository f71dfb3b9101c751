"""Log lines: one JSON object a line on stderr, and nothing of what callers sent."""

from __future__ import annotations

import datetime as dt
import logging
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

FIELDS = "fields"
"""Key of `extra` under which a log call passes a mapping of further fields."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    Of an exception only its type and where it was raised are written: its message may quote a caller's text.
    """

    def __init__(self, **always: str) -> None:
        """Store the fields that every line has; empty ones are left out."""
        super().__init__()
        self._always = {name: value for name, value in always.items() if value}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        import orjson

        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **self._always,
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = describe(*record.exc_info)
        return orjson.dumps(line, default=str).decode()


def describe(kind: type[BaseException], _: BaseException | None, trace: TracebackType | None) -> dict[str, Any]:
    """Type and frames of an exception, without its message and without values."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
    return {"type": f"{kind.__module__}.{kind.__qualname__}", "frames": frames}


def configure(level: str, *, replica: str, release: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream`, stderr by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(replica=replica, release=release))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn tells every step of its own life at info; ours says what matters.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
