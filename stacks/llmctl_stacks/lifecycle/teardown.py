"""`down`: take a stack away, then look whether anything is left."""

from __future__ import annotations

from llmctl_stacks.errors import NotFoundError, RefusedError
from llmctl_stacks.lifecycle.operation import Operation, operation
from llmctl_stacks.lifecycle.options import Observer, Options
from llmctl_stacks.lifecycle.update import changes
from llmctl_stacks.results import Teardown
from llmctl_stacks.targets import LAYERS


def down(options: Options, observe: Observer, *, all_layers: bool, force: bool) -> Teardown:
    """Destroy `serve`, with `all_layers` also `base`; end what the state knows nothing of; verify.

    Raises:
        RefusedError: when the stack is protected and `force` is not given.
        NotFoundError: when the stack was never up.
        LockedError: another operation holds the stack.
        DeployError: a resource could not be removed.
    """
    with operation("down", options, observe) as current:
        _permit(current, force=force)
        current.heal()
        recorded = current.context.recorded()
        layers = [layer for layer in reversed(LAYERS) if all_layers or layer != "base"]
        reports = []
        for layer in layers:
            if current.exists(layer):
                with current.phase(layer):
                    reports.append(current.run("destroy", layer))
        with current.phase("verify"):
            swept = current.target.sweep(all_layers=all_layers)
            leftovers = current.target.leftovers(recorded, all_layers=all_layers)
        return Teardown(
            stack=current.context.stack,
            changes=changes(reports),
            kept=() if all_layers else _kept(current),
            leftovers=leftovers,
            duration_seconds=current.seconds,
            swept=swept,
        )


def _permit(current: Operation, *, force: bool) -> None:
    stack = current.context.stack
    if current.context.loaded.config.protect and not force:
        raise RefusedError(
            f"stack {stack} is protected", "its configuration says `protect: true`", f"llmctl down {stack} --force"
        )
    if not any(current.exists(layer) for layer in LAYERS) and not current.target.replicas():
        raise NotFoundError(f"stack {stack} is not up", "nothing of it is recorded or runs", f"llmctl up {stack}")


def _kept(current: Operation) -> tuple[str, ...]:
    recorded = current.context.checkpoint("base").resources
    return tuple(resource.name for resource in recorded if not resource.component)
