"""`status`, `outputs`, `logs` and `invoke`: they need no engine and no lock."""

from __future__ import annotations

from collections.abc import Iterator

from llmctl_stacks.errors import NotFoundError
from llmctl_stacks.lifecycle.asking import ask
from llmctl_stacks.lifecycle.context import Context, open_context, outputs_by_layer
from llmctl_stacks.lifecycle.options import Options
from llmctl_stacks.lifecycle.update import merged_outputs
from llmctl_stacks.results import Answer, LogLine, ReplicaStatus, Status
from llmctl_stacks.targets import LogQuery, open_target


def status(options: Options) -> Status:
    """The stack as it is now; a stack that was never up is `absent`, not an error."""
    context = open_context(options)
    target = open_target(context)
    checkpoints = context.checkpoints()
    pending = tuple(str(step) for checkpoint in checkpoints.values() for step in checkpoint.pending)
    replicas = target.replicas()
    lock = context.lock.status()
    resources = sum(len(checkpoint.resources) for checkpoint in checkpoints.values())
    return Status(
        stack=context.stack,
        target=context.loaded.config.target,
        state=_summary(resources=resources, pending=pending, replicas=replicas, stale=lock.stale),
        endpoint=target.endpoint(outputs_by_layer(checkpoints)),
        replicas=replicas,
        resources=resources,
        pending=pending,
        locked_by=lock.owner if lock.held else None,
    )


def outputs(options: Options) -> dict[str, object]:
    """What the stack publishes.

    Raises:
        NotFoundError: when it was never up.
    """
    context = open_context(options)
    recorded = context.recorded()
    if not recorded:
        raise _not_up(context)
    return merged_outputs(recorded)


def logs(options: Options, query: LogQuery) -> Iterator[LogLine]:
    """Lines of the components' logs.

    Raises:
        NotFoundError: when there is no such component or replica, or there are no logs yet.
    """
    return open_target(open_context(options)).logs(query)


def invoke(options: Options, body: bytes) -> Answer:
    """One request through the gateway.

    Raises:
        NotFoundError: when the stack is not up.
        PreflightError: when it does not answer.
    """
    context = open_context(options)
    endpoint = open_target(context).endpoint(context.recorded())
    if endpoint is None:
        raise _not_up(context)
    return ask(endpoint, body, seconds=options.timeout or 60.0)


def _not_up(context: Context) -> NotFoundError:
    return NotFoundError(f"stack {context.stack} is not up", "", f"llmctl up {context.stack}")


def _summary(*, resources: int, pending: tuple[str, ...], replicas: tuple[ReplicaStatus, ...], stale: bool) -> str:
    if pending or stale:
        return "interrupted"
    if not resources and not replicas:
        return "absent"
    if not any(replica.pid for replica in replicas):
        return "stopped"
    return "running" if all(replica.state == "ready" for replica in replicas) else "degraded"
