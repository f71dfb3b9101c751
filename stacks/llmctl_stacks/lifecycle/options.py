"""What every verb is told, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from llmctl_stacks.engine.events import Event

Observer: TypeAlias = "Callable[[Event], None]"
"""Called with each event, from any thread; must not block for long and must not raise."""


def ignore(event: Event) -> None:
    """An observer that looks away."""


@dataclass(frozen=True)
class Options:
    """Which stack, and how patient.

    Attributes:
        stack: name of the stack; None means the only one, else `local`.
        config: `llmctl.yaml` or its folder; None means the nearest one upwards of the current folder.
        lock_wait: seconds to wait for another operation on the stack to end.
        timeout: seconds after which the operation is wound down, or None.
    """

    stack: str | None = None
    config: Path | None = None
    lock_wait: float = 0.0
    timeout: float | None = None
