"""`up` and `preview`."""

from __future__ import annotations

from collections.abc import Iterable

from llmctl_stacks.engine.operations import OpReport
from llmctl_stacks.errors import DeployError
from llmctl_stacks.lifecycle.asking import first_answer
from llmctl_stacks.lifecycle.operation import Operation, operation
from llmctl_stacks.lifecycle.options import Observer, Options
from llmctl_stacks.results import Endpoint, Preview, ResourceChange, Update
from llmctl_stacks.targets import LAYERS

SMOKE_SECONDS = 15.0


def up(options: Options, observe: Observer) -> Update:
    """Heal, check, update base, update serve, and answer one request.

    Raises:
        LockedError: another operation holds the stack.
        PreflightError: something is missing; nothing was changed.
        DeployError: a resource failed; what served before still serves.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    with operation("up", options, observe) as current:
        healed = current.heal()
        with current.phase("preflight"):
            current.target.preflight()
        reports = []
        for layer in LAYERS:
            with current.phase(layer):
                reports.append(current.run("up", layer, refresh=True))
        recorded = current.context.recorded()
        endpoint = _endpoint(current, recorded)
        with current.phase("smoke test"):
            answer = first_answer(endpoint, seconds=SMOKE_SECONDS)
        return Update(
            stack=current.context.stack,
            target=current.context.loaded.config.target,
            changes=changes(reports),
            endpoint=endpoint,
            outputs=merged_outputs(recorded),
            healed=healed,
            first_answer=answer,
            duration_seconds=current.seconds,
        )


def preview(options: Options, observe: Observer) -> Preview:
    """What `up` would change. Takes no lock and changes nothing.

    Raises:
        PreflightError: something is missing.
    """
    with operation("preview", options, observe, locked=False) as current:
        with current.phase("preflight"):
            current.target.preflight()
        reports = []
        for layer in LAYERS:
            with current.phase(layer):
                reports.append(current.run("preview", layer, refresh=current.exists(layer)))
        found = changes(reports)
        return Preview(
            stack=current.context.stack,
            target=current.context.loaded.config.target,
            changes=found,
            risks=current.target.risks(found),
            duration_seconds=current.seconds,
        )


def changes(reports: Iterable[OpReport]) -> tuple[ResourceChange, ...]:
    """The changes of several layers, in order."""
    return tuple(change for report in reports for change in report.changes)


def merged_outputs(recorded: dict[str, dict[str, object]]) -> dict[str, object]:
    """What the stack publishes: the outputs of `serve` over those of `base`."""
    merged: dict[str, object] = {}
    for layer in LAYERS:
        merged.update(recorded.get(layer, {}))
    return dict(sorted(merged.items()))


def _endpoint(current: Operation, recorded: dict[str, dict[str, object]]) -> Endpoint:
    endpoint = current.target.endpoint(recorded)
    if endpoint is None:
        serve = current.context.checkpoint("serve").resources
        names = ", ".join(resource.name for resource in serve) or "nothing"
        raise DeployError("the update recorded no endpoint", f"recorded: {names}", "llmctl recover")
    return endpoint
