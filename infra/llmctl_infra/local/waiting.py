"""Waiting for something to happen, with an end, and given up early when the user interrupts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from llmctl_infra.errors import ResourceError

_STEP = 0.05


class InterruptedWait(ResourceError):
    """Raised when the user interrupted the operation while a handler was waiting."""


def wait_until(
    check: Callable[[], bool], seconds: float, cancelled: threading.Event | None = None, step: float = _STEP
) -> bool:
    """Ask `check` every `step` seconds until it says yes; False when `seconds` are over.

    Raises:
        InterruptedWait: when `cancelled` is set meanwhile.
    """
    deadline = time.monotonic() + seconds
    while not check():
        if cancelled is not None and cancelled.is_set():
            raise InterruptedWait(
                "the operation was interrupted", "", "run it again: it takes up where it stopped"
            )
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)
    return True
