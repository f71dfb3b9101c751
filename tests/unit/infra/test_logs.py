from __future__ import annotations

import datetime as dt
import json
import threading
from pathlib import Path

import pytest

from llmctl_infra.local.logs import LogLine, follow_logs, line_time, read_logs, tail
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.status import stack_status


def at(second: int) -> str:
    return f"2026-01-02T03:04:{second:02d}.000+00:00"


def said(second: int, message: str) -> str:
    return json.dumps({"time": at(second), "message": message})


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = StackPaths(tmp_path).logs
    folder.mkdir(parents=True)
    (folder / "server-1.log").write_text(f"{said(3, 'third')}\n  with a second line\n")
    (folder / "server-1.log.1").write_text(f"{said(1, 'first')}\n")
    (folder / "server-1.log.2").write_text("before any time\n")
    (folder / "access.log").write_text(f"{said(2, 'asked')}\n")
    (folder / "supervisor.log").write_text("")
    return folder


def texts(lines: tuple[LogLine, ...]) -> list[str]:
    return [json.loads(line.text)["message"] if line.text.startswith("{") else line.text for line in lines]


def test_rotated_files_come_first_and_all_is_in_the_order_of_time(tmp_path: Path, logs: Path) -> None:
    found = read_logs(tmp_path)
    assert texts(found) == ["before any time", "first", "asked", "third", "  with a second line"]
    assert [line.component for line in found] == ["server", "server", "gateway", "server", "server"]
    assert found[2].source == "access"
    assert found[4].time == found[3].time


def test_lines_can_be_chosen_by_component_time_and_number(tmp_path: Path, logs: Path) -> None:
    assert texts(read_logs(tmp_path, ["gateway"])) == ["asked"]
    since = dt.datetime.fromisoformat(at(2))
    assert texts(read_logs(tmp_path, since=since)) == ["asked", "third", "  with a second line"]
    assert texts(read_logs(tmp_path, last=2)) == ["third", "  with a second line"]
    assert read_logs(tmp_path / "nothing") == ()


def test_followed_lines_survive_a_rotation_and_include_new_servers(tmp_path: Path, logs: Path) -> None:
    seen: list[str] = []
    found, stop = threading.Semaphore(0), threading.Event()

    def follow() -> None:
        for line in follow_logs(tmp_path, stop=stop.is_set):
            seen.append(line.text)
            found.release()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        log = logs / "server-1.log"
        # The first line may come before the follower has opened the file; it is told again until it is seen.
        while not found.acquire(timeout=0.3):
            with log.open("a") as file:
                file.write("started\n")
        with log.open("a") as file:
            file.write("old half")
            file.flush()
            log.rename(logs / "server-1.log.1")
            file.write(" and the rest\n")
        log.write_text("new file\n")
        (logs / "server-2.log").write_text("new server\n")
        wanted = {"old half and the rest", "new file", "new server"}
        while not wanted <= set(seen):
            assert found.acquire(timeout=5), seen
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("[2026-01-02 03:04:05.678][7][warning] x", dt.datetime(2026, 1, 2, 3, 4, 5, 678_000)),
        ("2026-01-02 03:04:05,678 INFO x", dt.datetime(2026, 1, 2, 3, 4, 5, 678_000)),
    ],
)
def test_envoys_and_the_supervisors_times_are_local(text: str, local: dt.datetime) -> None:
    assert line_time(text) == local.astimezone()


@pytest.mark.parametrize("text", ["", "plain", "{", '{"time": 3}', '{"other": "x"}', "[2026-13-45 x"])
def test_a_line_without_a_time_has_none(text: str) -> None:
    assert line_time(text) is None


def test_the_tail_is_what_came_last_and_after_a_position(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1\n2\n3\n")
    assert tail(path, 2) == ("2", "3")
    assert tail(path, 5, start=2) == ("2", "3")
    assert tail(path, 5, start=100) == ("1", "2", "3")  # rotated away meanwhile: all is new
    assert tail(tmp_path / "nothing", 5) == ()


def test_a_stack_that_was_never_up_has_no_processes(tmp_path: Path) -> None:
    assert stack_status(tmp_path) == ()
