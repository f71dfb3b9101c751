"""The verbs of llmctl as functions: options in, frozen results out, events to an observer on the way.

Importing this package is cheap: what a verb needs (the engine, grpc, onnxruntime) is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llmctl_stacks import results
from llmctl_stacks.lifecycle.options import Observer, Options, ignore

__all__ = [
    "Observer",
    "Options",
    "doctor",
    "down",
    "drift",
    "ignore",
    "init",
    "invoke",
    "lock_release",
    "lock_status",
    "logs",
    "outputs",
    "preview",
    "recover",
    "refresh",
    "stacks",
    "status",
    "up",
]


def stacks(options: Options) -> tuple[str, ...]:
    """Names of the project's stacks, sorted."""
    from llmctl_stacks.config import find_project

    return find_project(Path.cwd(), options.config).stacks()


def init(directory: Path, *, name: str | None = None) -> tuple[Path, ...]:
    """Write a project that works unedited; returns the files written.

    Raises:
        RefusedError: when one of them is already there; nothing is written then.
    """
    from llmctl_stacks.lifecycle.scaffold import init as run

    return run(directory, name=name)


def up(options: Options, observe: Observer = ignore) -> results.Update:
    """Bring the stack to its configuration and answer one request with it."""
    from llmctl_stacks.lifecycle.update import up as run

    return run(options, observe)


def preview(options: Options, observe: Observer = ignore) -> results.Preview:
    """What `up` would change; changes nothing."""
    from llmctl_stacks.lifecycle.update import preview as run

    return run(options, observe)


def refresh(options: Options, observe: Observer = ignore) -> results.Drift:
    """Read what is really there into the state; returns what differed."""
    from llmctl_stacks.lifecycle.repair import refresh as run

    return run(options, observe)


def drift(options: Options, observe: Observer = ignore) -> results.Drift:
    """What differs between recorded and actual; changes nothing."""
    from llmctl_stacks.lifecycle.repair import drift as run

    return run(options, observe)


def recover(options: Options, observe: Observer = ignore) -> results.Recovery:
    """Mend what an interrupted operation left: engine process, locks, pending operations."""
    from llmctl_stacks.lifecycle.repair import recover as run

    return run(options, observe)


def down(
    options: Options, observe: Observer = ignore, *, all_layers: bool = False, force: bool = False
) -> results.Teardown:
    """Take the serving half away, with `all_layers` the data too, and verify that nothing is left."""
    from llmctl_stacks.lifecycle.teardown import down as run

    return run(options, observe, all_layers=all_layers, force=force)


def status(options: Options) -> results.Status:
    """The stack as it is now. Needs neither the engine nor a lock."""
    from llmctl_stacks.lifecycle.inspection import status as run

    return run(options)


def outputs(options: Options) -> dict[str, object]:
    """What the stack publishes; secrets are masked."""
    from llmctl_stacks.lifecycle.inspection import outputs as run

    return run(options)


def logs(
    options: Options,
    *,
    follow: bool = False,
    since_seconds: float | None = None,
    lines: int | None = None,
    replica: str | None = None,
    component: str | None = None,
) -> Iterator[results.LogLine]:
    """Lines of the components' logs, oldest first; with `follow`, until the caller stops reading."""
    from llmctl_stacks.lifecycle.inspection import logs as run
    from llmctl_stacks.targets import LogQuery

    return run(options, LogQuery(follow, since_seconds, lines, replica, component))


def invoke(options: Options, body: bytes) -> results.Answer:
    """Send one request through the gateway with the stack's first API key."""
    from llmctl_stacks.lifecycle.inspection import invoke as run

    return run(options, body)


def lock_status(options: Options) -> results.LockStatus:
    """Who holds the stack."""
    from llmctl_stacks.lifecycle.repair import lock_status as run

    return run(options)


def lock_release(options: Options, *, force: bool = False) -> results.LockStatus:
    """Drop a lock whose owner is dead; with `force`, also a living owner's."""
    from llmctl_stacks.lifecycle.repair import lock_release as run

    return run(options, force=force)


def doctor(options: Options, observe: Observer = ignore, *, fix: bool = False) -> results.Diagnosis:
    """Check what llmctl needs on this machine; with `fix`, install or mend what it can."""
    from llmctl_stacks.lifecycle.diagnosis import doctor as run

    return run(options, observe, fix=fix)
