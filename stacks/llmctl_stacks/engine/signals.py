"""Ctrl-C, SIGTERM and deadlines: wind down first, stop at once when pressed again.

A handler may interrupt any line of the main thread, even one that holds the terminal's lock. So it only puts the
signal into a queue; a thread of its own tells the engine and the user.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from llmctl_stacks.errors import DeadlineError, Interrupted, LlmctlError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WIND_DOWN_SECONDS = 30.0  # what running steps get once the deadline has passed
_STOP_SECONDS = 3.0  # what an engine that was told to stop at once gets before it is killed
_AGAIN = "run the command again to go on from here, or `llmctl recover` to mend what was under way"


class Stoppable(Protocol):
    """What can be wound down: `operations.Engine`."""

    def interrupt(self, why: LlmctlError) -> None:
        """Begin no new step; a second time, stop at once."""

    def kill(self) -> None:
        """End the engine's process now."""


@contextmanager
def graceful(
    engine: Stoppable,
    on_notice: Callable[[str], None],
    running: Callable[[], int] = lambda: 0,
    timeout: float | None = None,
) -> Iterator[None]:
    """Turn INT, TERM and HUP into winding down while the block runs; the handlers before it come back afterwards.

    The first signal lets the running steps finish. The second stops the engine at once; what it was doing stays
    pending, and `llmctl recover` mends it. The operation itself ends with `Interrupted` or `DeadlineError`.

    Args:
        engine: what to wind down.
        on_notice: told in a line what is going on, from another thread.
        running: how many steps are running now, for that line.
        timeout: seconds after which the operation is wound down as if a signal had come; None means never.
    """
    presses: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        presses.put(number)

    watcher = threading.Thread(
        target=_watch, args=(engine, on_notice, running, timeout, presses), name="signals", daemon=True
    )
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handle) for number in _SIGNALS}
    watcher.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        presses.put(None)
        watcher.join()


def _watch(
    engine: Stoppable,
    on_notice: Callable[[str], None],
    running: Callable[[], int],
    timeout: float | None,
    presses: queue.SimpleQueue[int | None],
) -> None:
    urgency = 0  # 1: winding down, 2: stopped at once
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            number = presses.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            number = 0  # time is up
        if number is None:
            return
        if number == 0 and urgency >= 2:
            engine.kill()
            until = None
            continue
        urgency += 1
        cause = signal.Signals(number).name if number else f"deadline of {timeout:g} s"
        engine.interrupt(Interrupted(f"interrupted by {cause}", fix=_AGAIN) if number else _late(timeout))
        if urgency == 1:
            until = None if number else time.monotonic() + _WIND_DOWN_SECONDS
            on_notice(f"{cause}: {_finishing(running())}, press again to stop at once")
        else:
            until = time.monotonic() + _STOP_SECONDS
            on_notice(f"{cause}: stopped at once; `llmctl recover` mends what was under way")


def _late(timeout: float | None) -> DeadlineError:
    return DeadlineError(f"not done within {timeout:g} s", "the operation was wound down", _AGAIN)


def _finishing(running: int) -> str:
    return f"finishing {running} running operation{'' if running == 1 else 's'}"
