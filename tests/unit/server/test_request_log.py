from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmctl_server import request_log as module
from llmctl_server.request_log import SCHEMA, RequestLog, Row
from support.asgi import ask
from support.fake_engine import FakeEngine, serving, settings_of

ROW = Row(1.5, "r1", "server-1", "r7", "attention", "default", "/v1/classify", 200, 1, 20, 0.5, 2.5, 3.5, None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)


def rows_of(path: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM requests ORDER BY rowid")]
    finally:
        connection.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_rows_are_written_in_order(tmp_path: Path) -> None:
    dropped: list[int] = []
    log = RequestLog(tmp_path / "requests.db", dropped.append)
    for number in range(2500):
        log.add(ROW._replace(request_id=f"r{number}"))
    log.close(5)

    rows = rows_of(tmp_path / "requests.db")
    assert [row["request_id"] for row in rows] == [f"r{number}" for number in range(2500)]
    assert rows[7] == ROW._replace(request_id="r7")._asdict()
    assert dropped == []


def test_the_columns_are_those_of_a_row() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(requests)")]
    connection.close()

    assert columns == list(Row._fields)


def test_the_file_is_private_and_readers_do_not_block_writers(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, lambda _: None)
    log.add(ROW)
    eventually(lambda: path.exists() and (tmp_path / "requests.db-wal").exists())

    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("requests.db*")} == {0o600}
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    log.close(5)


def test_a_table_that_another_made_is_used(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "requests.db")
    connection.executescript(SCHEMA)
    connection.close()
    log = RequestLog(tmp_path / "requests.db", lambda _: None)
    log.add(ROW)
    log.close(5)

    assert len(rows_of(tmp_path / "requests.db")) == 1


def test_two_servers_write_to_one_file(tmp_path: Path) -> None:
    dropped: list[int] = []
    logs = [RequestLog(tmp_path / "requests.db", dropped.append) for _ in range(2)]
    for _ in range(200):
        for log in logs:
            log.add(ROW)
        time.sleep(0.0005)
    for log in logs:
        log.close(5)

    assert len(rows_of(tmp_path / "requests.db")) == 400
    assert dropped == []


def test_rows_are_dropped_and_counted_while_the_file_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dropped: list[int] = []
    folder = tmp_path / "folder"
    log = RequestLog(folder / "requests.db", dropped.append)
    for wanted in (1, 2):
        log.add(ROW)
        eventually(lambda wanted=wanted: sum(dropped) == wanted)  # type: ignore[misc]
    folder.mkdir()
    log.add(ROW)
    log.close(5)

    assert len(rows_of(folder / "requests.db")) == 1
    assert sum(dropped) == 2
    assert len(caplog.records) == 1


def test_a_disk_that_is_too_slow_costs_rows_not_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER_ROWS", 5)
    monkeypatch.setattr(module, "_connect", lambda path: time.sleep(0.2) or sqlite3.connect(path))
    dropped: list[int] = []
    log = RequestLog(tmp_path / "requests.db", dropped.append)
    log.add(ROW)
    time.sleep(0.05)
    for _ in range(20):
        log.add(ROW)

    assert sum(dropped) == 15
    log.close(5)


async def test_every_answer_leaves_a_row_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path, lambda _: None)
    settings = settings_of(LLMCTL_REPLICA="server-1", LLMCTL_RELEASE="r7")
    async with serving(FakeEngine(), settings, request_log=log) as app:
        headers = {"x-request-id": "mine"}
        await ask(app, "POST", "/v1/classify", {"texts": ["hunter2 good", "hunter2"]}, headers=headers)
        await ask(app, "POST", "/v1/classify", {"text": "hunter2\0"})
        await ask(app, "GET", "/hunter2")
        await ask(app, "GET", "/info")
        for unlogged in ("/livez", "/readyz", "/startupz", "/metrics"):
            await ask(app, "GET", unlogged)
    log.close(5)

    rows = rows_of(path)
    assert [(row["route"], row["status"], row["error_code"]) for row in rows] == [
        ("/v1/classify", 200, None),
        ("/v1/classify", 422, "invalid_text"),
        ("unknown", 404, "not_found"),
        ("/info", 200, None),
    ]
    first = rows[0]
    assert (first["request_id"], first["replica"], first["release"]) == ("mine", "server-1", "r7")
    assert (first["texts"], first["tokens"], first["key_name"]) == (2, 3, "")
    assert abs(first["time"] - time.time()) < 30
    assert first["total_ms"] >= first["run_ms"] > 0
    assert all(b"hunter2" not in each.read_bytes() for each in tmp_path.glob("requests.db*"))
