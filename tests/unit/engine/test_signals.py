from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from llmctl_stacks.engine import signals
from llmctl_stacks.engine.signals import graceful
from llmctl_stacks.errors import DeadlineError, Interrupted, LlmctlError


class Recorder:
    """Stands in for the engine, and hears the notices."""

    def __init__(self) -> None:
        self.interrupts: list[LlmctlError] = []
        self.kills = 0
        self.notices: list[str] = []

    def interrupt(self, why: LlmctlError) -> None:
        self.interrupts.append(why)

    def kill(self) -> None:
        self.kills += 1


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def engine() -> Recorder:
    return Recorder()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_winds_down_and_says_how_to_stop_at_once(
    engine: Recorder, number: signal.Signals
) -> None:
    with graceful(engine, engine.notices.append, lambda: 2):
        os.kill(os.getpid(), number)
        _until(lambda: bool(engine.notices))

    assert engine.notices == [f"{number.name}: finishing 2 running operations, press again to stop at once"]
    assert [type(why) for why in engine.interrupts] == [Interrupted]
    assert number.name in str(engine.interrupts[0])
    assert engine.kills == 0


def test_the_second_stops_at_once_and_names_recovery(engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_STOP_SECONDS", 0.1)

    with graceful(engine, engine.notices.append):
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGINT)
            _until(lambda count=count: len(engine.notices) == count)  # type: ignore[misc]
        _until(lambda: engine.kills == 1)

    assert "finishing 0 running operations" in engine.notices[0]
    assert "stopped at once; `llmctl recover` mends" in engine.notices[1]
    assert len(engine.interrupts) == 2


def test_an_engine_that_ends_in_time_is_not_killed(engine: Recorder) -> None:
    with graceful(engine, engine.notices.append):
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGINT)
            _until(lambda count=count: len(engine.notices) == count)  # type: ignore[misc]

    assert engine.kills == 0


def test_the_handlers_before_come_back(engine: Recorder) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def fail() -> None:
        with graceful(engine, engine.notices.append):
            assert signal.getsignal(signal.SIGINT) not in before
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


def test_a_deadline_winds_down_then_stops_then_kills(engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_WIND_DOWN_SECONDS", 0.1)
    monkeypatch.setattr(signals, "_STOP_SECONDS", 0.1)

    with graceful(engine, engine.notices.append, timeout=0.05):
        _until(lambda: engine.kills == 1)

    assert [type(why) for why in engine.interrupts] == [DeadlineError, DeadlineError]
    assert engine.notices[0].startswith("deadline of 0.05 s: finishing")
    assert "not done within 0.05 s" in str(engine.interrupts[0])


def test_an_operation_that_ends_in_time_hears_nothing_of_its_deadline(engine: Recorder) -> None:
    with graceful(engine, engine.notices.append, timeout=30):
        pass

    assert engine.interrupts == []


def test_outside_the_main_thread_only_the_deadline_works(engine: Recorder) -> None:
    before = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with graceful(engine, engine.notices.append, timeout=0.05):
            assert signal.getsignal(signal.SIGINT) is before
            _until(lambda: bool(engine.interrupts))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [type(why) for why in engine.interrupts] == [DeadlineError]


def test_a_signal_does_not_wait_for_a_lock_that_the_main_thread_holds(engine: Recorder) -> None:
    lock = threading.Lock()

    def notice(line: str) -> None:
        with lock:
            engine.notices.append(line)

    with graceful(engine, notice):
        with lock:
            os.kill(os.getpid(), signal.SIGINT)
            _until(lambda: bool(engine.interrupts))
        _until(lambda: bool(engine.notices))
