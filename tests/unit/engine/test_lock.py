from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from llmctl_stacks import lock as module
from llmctl_stacks.errors import LockedError, RefusedError
from llmctl_stacks.home import Home
from llmctl_stacks.lock import ProcessId, StackLock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def lock(home: Home) -> StackLock:
    return StackLock(home, "demo", "local")


def _file(home: Home) -> Path:
    return home.lock("demo", "local")


def test_a_lock_that_was_never_taken_is_free_and_looking_makes_no_file(home: Home, lock: StackLock) -> None:
    status = lock.status()

    assert (status.held, status.owner, status.stale) == (False, None, False)
    assert not _file(home).exists()


def test_a_held_lock_names_its_owner_verb_and_age(home: Home, lock: StackLock) -> None:
    with lock.acquire("up") as lease:
        assert lease.previous is None
        status = lock.status()
        assert (status.stack, status.held, status.verb, status.stale) == ("local", True, "up", False)
        assert str(status.owner).endswith(f" pid {os.getpid()}")
        assert status.age_seconds is not None
        assert 0 <= status.age_seconds < 60
        assert _file(home).stat().st_mode & 0o777 == 0o600
        assert _file(home).parent.stat().st_mode & 0o077 == 0
    assert not lock.status().held


def test_whoever_comes_second_is_told_by_whom_and_how_to_go_on(lock: StackLock) -> None:
    with lock.acquire("up"), pytest.raises(LockedError) as caught:
        lock.acquire("down")

    assert caught.value.what == "stack local is locked"
    assert re.search(rf"pid {os.getpid()} is running `up` for \d s$", caught.value.why)
    assert "llmctl lock status" in caught.value.fix
    assert caught.value.details["verb"] == "up"


def test_other_stacks_are_not_locked(home: Home, lock: StackLock) -> None:
    with (
        lock.acquire("up"),
        StackLock(home, "demo", "dev").acquire("up"),
        StackLock(home, "b", "local").acquire("up"),
    ):
        pass


def test_waiting_ends_when_the_owner_does_and_says_once_for_whom(lock: StackLock) -> None:
    lease = lock.acquire("up")
    waited: list[str | None] = []

    def release() -> None:
        while not waited:
            time.sleep(0.01)
        time.sleep(0.2)
        lease.release()

    thread = threading.Thread(target=release)
    thread.start()
    with lock.acquire("down", 10, lambda status: waited.append(status.verb)):
        assert lock.status().verb == "down"
    thread.join()
    assert waited == ["up"]


def test_waiting_has_an_end(lock: StackLock) -> None:
    with lock.acquire("up"):
        began = time.monotonic()
        with pytest.raises(LockedError):
            lock.acquire("down", 0.5)
        assert 0.4 < time.monotonic() - began < 5


def test_looking_at_a_lock_does_not_refuse_it_to_anybody(lock: StackLock) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            lock.status()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(30):
            lock.acquire("up").release()
    finally:
        done.set()
        thread.join()


def test_releasing_twice_is_harmless(lock: StackLock) -> None:
    lease = lock.acquire("up")
    lease.release()
    lease.release()

    with lock.acquire("up"):
        pass


def _hold(home: Home, held: Event) -> None:
    lease = StackLock(home, "demo", "local").acquire("up")
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    lease.record_engine(engine.pid)
    held.set()
    time.sleep(60)


@pytest.fixture
def dead_owner(home: Home) -> tuple[int, ProcessId]:
    """The pid of a process that was killed while it held the lock, and the engine that it left behind."""
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(home, held))
    process.start()
    assert held.wait(30)
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    process.join()
    process.close()
    return pid, ProcessId(**json.loads(_file(home).read_text())["engine"])


def test_the_kernel_frees_the_lock_of_a_dead_owner_and_its_engine_is_ended(
    lock: StackLock, dead_owner: tuple[int, ProcessId]
) -> None:
    pid, engine = dead_owner
    status = lock.status()
    assert (status.held, status.stale, status.verb) == (False, True, "up")
    assert str(status.owner).endswith(f"pid {pid}")
    assert engine.alive

    with lock.acquire("recover") as lease:
        assert lease.previous is not None
        assert lease.previous.process.pid == pid
        assert not engine.alive
    assert not lock.status().stale


def test_a_stale_lock_can_be_cleared_without_force(lock: StackLock, dead_owner: tuple[int, ProcessId]) -> None:
    _, engine = dead_owner

    assert lock.release() == lock.status()

    assert (lock.status().held, lock.status().stale, lock.status().owner) == (False, False, None)
    assert not engine.alive


def test_the_lock_of_a_living_owner_is_taken_only_by_force(lock: StackLock) -> None:
    lease = lock.acquire("up")

    with pytest.raises(RefusedError, match="is running `up`"):
        lock.release()
    assert not lock.release(force=True).held

    with lock.acquire("down") as second:
        lease.record_engine(os.getpid())
        lease.release()
        assert lock.status().verb == "down"
        assert second.previous is None


def test_releasing_what_nobody_holds_is_harmless(lock: StackLock) -> None:
    assert not lock.release().held


def test_a_file_that_says_nothing_sensible_is_taken_over(home: Home, lock: StackLock) -> None:
    for text in ("", "{", "[]", '{"user": 1}', '{"engine": null, "process": {"pid": 1}}'):
        _file(home).parent.mkdir(parents=True, exist_ok=True)
        _file(home).write_text(text)
        assert not lock.status().held
        with lock.acquire("up") as lease:
            assert lease.previous is None
            assert lock.status().verb == "up"


def test_a_pid_that_was_given_to_another_process_is_not_ended(home: Home, lock: StackLock) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        record = ProcessId.of(other.pid)
        assert record.alive
        assert not ProcessId(other.pid, record.started - 100).alive
        ProcessId(other.pid, record.started - 100).end(0.1)
        assert record.alive
    finally:
        other.kill()
        other.wait()
    assert not record.alive
    assert not ProcessId.of(other.pid).alive


def test_an_engine_that_ignores_the_interrupt_is_killed() -> None:
    program = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    engine = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, stdout=subprocess.PIPE)
    assert engine.stdout is not None
    engine.stdout.readline()

    ProcessId.of(engine.pid).end(0.3)

    assert engine.wait(timeout=5) == -signal.SIGKILL
    engine.stdout.close()


def test_a_user_without_a_name_can_lock(lock: StackLock, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(module.getpass, "getuser", nameless)

    with lock.acquire("up"):
        assert str(lock.status().owner).startswith(f"uid-{os.getuid()}@")
