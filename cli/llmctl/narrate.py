"""Events of an operation as lines of text. Pure: what a pipe, a CI log and the live view say in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmctl.console import harmless
from llmctl.table import seconds

if TYPE_CHECKING:
    from llmctl_stacks.engine.events import Event

_DONE = {
    "same": "unchanged",
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "read": "read",
    "refresh": "as recorded",
}
_DOING = {
    "same": "checking",
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "read": "reading",
    "refresh": "refreshing",
}


def line(event: Event, *, detailed: bool) -> str | None:
    """The line for `event`, or None when it is worth none.

    Args:
        event: what happened.
        detailed: also tell what is unchanged, how long a phase took and what the engine mentions.
    """
    if event.kind == "phase":
        return _phase(event, detailed=detailed)
    if event.kind == "resource":
        return _resource(event, detailed=detailed)
    if event.kind in ("notice", "diagnostic"):
        return remark(event, detailed=detailed)
    return None


def remark(event: Event, *, detailed: bool) -> str | None:
    """What llmctl, the engine or a provider says.

    An error that a provider reports is left out: it comes back, explained, when the operation ends.
    """
    if event.kind == "diagnostic" and event.severity != "warning" and not detailed:
        return None
    prefix = "" if event.severity in ("", "info") else f"{event.severity}: "
    about = f"{event.name}: " if event.kind == "diagnostic" and event.name else ""
    return f"{prefix}{about}{harmless(event.message)}"


def outcome(operation: str, state: str, drift: str = "") -> str:
    """What is, or was, done to a resource, in one or two words."""
    if state == "failed":
        return f"failed to {operation}"
    if state == "running":
        return _DOING.get(operation, operation)
    return drift or _DONE.get(operation, operation)


def short_type(kind: str) -> str:
    """`Gateway` of `llmctl:local:Gateway`."""
    return kind.rpartition(":")[2]


def _phase(event: Event, *, detailed: bool) -> str | None:
    if event.state == "running":
        return event.message
    if event.state == "failed":
        return f"{event.message} failed"
    return f"{event.message} took {seconds(event.seconds)}" if detailed and event.seconds is not None else None


def _resource(event: Event, *, detailed: bool) -> str | None:
    quiet = event.operation in ("same", "read", "refresh") and not event.drift and event.state != "failed"
    if event.component or event.planned or event.state == "running" or (quiet and not detailed):
        return None
    keys = f" ({', '.join(event.keys)})" if event.keys else ""
    took = f" in {seconds(event.seconds)}" if event.seconds else ""
    word = outcome(event.operation, event.state, event.drift)
    return f"  {short_type(event.type)} `{event.name}` {word}{keys}{took}"
