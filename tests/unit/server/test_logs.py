from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from llmctl_server import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("uvicorn").level)
    stream = io.StringIO()
    logs.configure("info", replica="server-1", release="", stream=stream)
    yield stream
    root.handlers[:], level, uvicorn_level = before
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(uvicorn_level)


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    logging.getLogger("any").info("took %d\nlines", 3, extra={"fields": {"port": 80}})

    (line,) = stream.getvalue().splitlines()
    document = json.loads(line)
    assert document.pop("time").endswith("+00:00")
    assert document == {"level": "info", "message": "took 3\nlines", "replica": "server-1", "port": 80}


def test_less_severe_lines_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("any").debug("detail")

    assert stream.getvalue() == ""


def test_an_exception_is_told_by_type_and_place_but_not_by_what_it_quotes(stream: io.StringIO) -> None:
    secret = "my secret text"
    try:
        int(secret)
    except ValueError:
        logging.getLogger("any").exception("request failed")

    exception = json.loads(stream.getvalue())["exception"]
    assert exception["type"] == "builtins.ValueError"
    (frame,) = exception["frames"]
    assert frame.endswith(" test_an_exception_is_told_by_type_and_place_but_not_by_what_it_quotes")
    assert secret not in stream.getvalue()
