"""Where a server is in its life: starting, ready, draining, drained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

STARTING, READY, DRAINING = "starting", "ready", "draining"


class State:
    """The life of one server. Times are seconds of `time.monotonic`.

    Attributes:
        status: `starting`, `ready` or `draining`.
        phases: seconds of each step of the start, in order.
        in_flight: accepted requests without an answer.
        started_at: Unix time at which the process began.
        draining_since: when the first signal came, or None.
        ready_seconds: time from the beginning of the process to readiness; 0 until then.
    """

    def __init__(self, *, began: float, drain_delay: float, grace: float) -> None:
        """Begin to start.

        Args:
            began: when the process began.
            drain_delay: seconds after the signal for which the listener stays open in any case.
            grace: seconds after the signal that accepted requests may take.
        """
        self.status = STARTING
        self.phases: dict[str, float] = {}
        self.in_flight = 0
        self.started_at = time.time()
        self.ready_seconds = 0.0
        self._began = began
        self._drain_delay = drain_delay
        self._grace = grace
        self.draining_since: float | None = None
        self._hurry = False

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one step of the start."""
        began = time.monotonic()
        yield
        self.phases[name] = round(time.monotonic() - began, 4)

    def ready(self) -> None:
        """The model is loaded. A signal that came earlier stays in force."""
        if self.status == STARTING:
            self.status = READY
            self.ready_seconds = round(time.monotonic() - self._began, 4)

    def drain(self) -> None:
        """Accept no more work; a second call gives up on what is unfinished. Safe in a signal handler."""
        if self.draining_since is not None:
            self._hurry = True
            return
        if self.status == STARTING:
            # Nobody was ever sent here, so nobody has to notice.
            self._drain_delay = 0.0
        self.status = DRAINING
        self.draining_since = time.monotonic()

    def drained(self, now: float) -> bool:
        """Whether the listener may close: the delay is over and all work is done, or time is up."""
        if self.draining_since is None:
            return False
        passed = now - self.draining_since
        if self._hurry or passed >= max(self._grace, self._drain_delay):
            return True
        return passed >= self._drain_delay and not self.in_flight

    def retry_after(self, now: float) -> int:
        """Whole seconds after which another server will have taken over."""
        passed = now - (self.draining_since or now)
        return max(1, round(self._drain_delay - passed))
