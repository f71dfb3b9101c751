"""Where a stack runs: how it is provisioned, reached and inspected there. The verbs are the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmctl_stacks.errors import PreflightError
from llmctl_stacks.targets.target import LAYERS, Attached, LogQuery, Target

if TYPE_CHECKING:
    from llmctl_stacks.lifecycle.context import Context

__all__ = ["LAYERS", "Attached", "LogQuery", "Target", "open_target"]

AVAILABLE = ("local",)


def open_target(context: Context) -> Target:
    """The target of a stack.

    Raises:
        PreflightError: when this version cannot provision the target.
    """
    target = context.loaded.config.target
    if target not in AVAILABLE:
        raise PreflightError(
            f"target {target} of stack {context.stack} is not available in this version of llmctl",
            f"available: {', '.join(AVAILABLE)}",
            f"set `target: local` in {context.loaded.project.stack_file(context.stack)}",
        )
    from llmctl_stacks.targets.local import LocalTarget

    return LocalTarget(context)
