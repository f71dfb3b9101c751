"""`refresh`, `drift`, `recover` and `lock`."""

from __future__ import annotations

from typing import Literal

from llmctl_stacks.lifecycle.context import open_context
from llmctl_stacks.lifecycle.operation import Operation, operation
from llmctl_stacks.lifecycle.options import Observer, Options
from llmctl_stacks.results import Drift, DriftItem, LockStatus, Recovery
from llmctl_stacks.targets import LAYERS


def refresh(options: Options, observe: Observer) -> Drift:
    """Read what is really there into the state of every layer."""
    with operation("refresh", options, observe) as current:
        current.heal()
        return _read_all(current, "refresh")


def drift(options: Options, observe: Observer) -> Drift:
    """What `refresh` would find. Takes no lock and changes nothing."""
    with operation("drift", options, observe, locked=False) as current:
        return _read_all(current, "drift")


def recover(options: Options, observe: Observer) -> Recovery:
    """Mend what an interrupted operation left; nothing is updated."""
    with operation("recover", options, observe) as current:
        actions = current.heal()
        if not any(current.exists(layer) for layer in LAYERS):
            swept = current.target.sweep(all_layers=False)
            actions = (*actions, *(f"ended {name}, which the state knows nothing of" for name in swept))
        return Recovery(current.context.stack, actions)


def lock_status(options: Options) -> LockStatus:
    """Who holds the stack."""
    return open_context(options).lock.status()


def lock_release(options: Options, *, force: bool) -> LockStatus:
    """Clear a dead owner's lock, or with `force` a living one's.

    Raises:
        RefusedError: when the owner lives and `force` is not given.
    """
    return open_context(options).lock.release(force=force)


def _read_all(current: Operation, verb: Literal["refresh", "drift"]) -> Drift:
    items: list[DriftItem] = []
    for layer in LAYERS:
        if current.exists(layer):
            with current.phase(layer):
                items += current.run(verb, layer).drift
    return Drift(current.context.stack, tuple(items), current.seconds)
