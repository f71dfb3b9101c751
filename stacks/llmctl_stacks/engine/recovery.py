"""Mends what an interrupted operation left, without asking and without making or losing a resource.

An engine that was stopped in the middle of a step leaves the step in the state as a pending operation. The engine
itself would repeat a pending create, with a warning, and so make the resource twice. Here each pending create is
looked up by the resource's deterministic name: what is there is adopted into the state, what is not is forgotten.
Other pending steps concern resources that the state knows; forgetting the step and reading the resource is enough.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.codec import UNKNOWN
from llmctl_stacks.engine import state
from llmctl_stacks.engine.operations import Engine
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import DeployError, LlmctlError, LockedError
from llmctl_stacks.home import Home

Find: TypeAlias = Callable[[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]] | None]
"""`ProviderHost.find`: from type and inputs, the id and outputs of the resource, when it is there."""

_BACKUPS_KEPT = 5
_ENDING_SECONDS = 3.0
_PROVIDERS = "pulumi:providers:"


@dataclass(frozen=True)
class Mended:
    """A deployment without pending operations, and what was done to it, a sentence each."""

    deployment: dict[str, Any]
    actions: tuple[str, ...]


def pending(home: Home, spec: StackSpec) -> tuple[str, ...]:
    """The steps that an interruption left, such as `creating gateway`; empty when there is nothing to mend."""
    return tuple(str(item) for item in state.read(home, spec).pending)


def heal(
    engine: Engine,
    spec: StackSpec,
    find: Find,
    providers: Mapping[str, int],
    failures: Mapping[str, ResourceError] | None = None,
) -> tuple[str, ...]:
    """Mend the stack; does nothing, quickly, when there is nothing to mend.

    The caller holds the stack's lock, and so is alone: an engine that was left has been ended.

    Args:
        engine: reads the mended stack once, which completes adopted resources and proves the state sound.
        spec: the stack.
        find: looks a resource up by its deterministic name.
        providers: as for `Engine.run`.
        failures: likewise.

    Returns:
        What was done, a sentence each.

    Raises:
        LockedError: when a living process, or one on another host, holds the engine's own lock.
        DeployError: when it cannot be told whether a resource is there, or the mended state is not sound; the
            state is then as it was.
    """
    actions = [f"removed the engine's lock of process {pid}, which is gone" for pid in _unlock(engine.home, spec)]
    deployment = state.deployment(engine.home, spec)
    if not deployment.get("pending_operations"):
        return tuple(actions)
    mended = mend(deployment, find, datetime.now(UTC))
    backup = _back_up(engine.home, spec)
    _write(engine.home, spec, mended.deployment)
    try:
        engine.run("refresh", spec, _nothing, providers, failures=failures or {})
    except LlmctlError as error:
        backup.replace(state.checkpoint_path(engine.home, spec))
        raise DeployError(
            f"{spec} could not be mended; its state is as it was", str(error), error.fix or "llmctl recover"
        ) from error
    return (*actions, *mended.actions)


def mend(deployment: Mapping[str, Any], find: Find, now: datetime) -> Mended:
    """Resolve every pending operation of a deployment. Pure but for what `find` looks at.

    Raises:
        DeployError: when `find` cannot tell whether a resource is there.
    """
    resources: list[dict[str, Any]] = [dict(item) for item in deployment.get("resources") or ()]
    actions: list[str] = []
    for operation in deployment["pending_operations"]:
        resource, kind = operation["resource"], operation["type"]
        name = resource["urn"].split("::", 3)[-1]
        if kind != "creating":
            actions.append(f"forgot an interrupted step ({kind} {name}) and read the resource again")
            continue
        found = _look_up(find, resource, name) if _is_real(resource) else None
        if found is None:
            actions.append(f"forgot the interrupted create of {name}: it is not there")
            continue
        if _recorded(resources, resource["urn"], found):
            actions.append(f"forgot the interrupted create of {name}: it is recorded already")
            continue
        _make_room(resources, resource["urn"])
        resources.append(_adopted(resource, found, now))
        actions.append(f"took over {name}, which an interrupted create had made")
    return Mended({**deployment, "resources": _in_order(resources), "pending_operations": []}, tuple(actions))


def _is_real(resource: Mapping[str, Any]) -> bool:
    """Whether anything outside the state stands for it; components and providers are made again at no cost."""
    return bool(resource.get("custom")) and not resource["type"].startswith(_PROVIDERS)


def _look_up(find: Find, resource: Mapping[str, Any], name: str) -> str | None:
    try:
        found = find(resource["type"], state.mask(resource.get("inputs") or {}, UNKNOWN))
    except (ResourceError, KeyError) as error:
        raise DeployError(f"cannot tell whether {name} is there", str(error), "llmctl recover") from error
    return None if found is None else found[0]


def _recorded(resources: Sequence[Mapping[str, Any]], urn: str, resource_id: str) -> bool:
    return any(
        item["urn"] == urn and item.get("id") == resource_id and not item.get("pendingReplacement")
        for item in resources
    )


def _make_room(resources: list[dict[str, Any]], urn: str) -> None:
    """Let the resource with `urn` be the only living one: the one that it replaces is gone, or is to go."""
    resources[:] = [item for item in resources if item["urn"] != urn or not item.get("pendingReplacement")]
    for item in resources:
        if item["urn"] == urn:
            item["delete"] = True


def _adopted(resource: Mapping[str, Any], resource_id: str, now: datetime) -> dict[str, Any]:
    """The resource as the state keeps it; computed outputs follow when it is read, with secrets encrypted."""
    time = now.isoformat().replace("+00:00", "Z")
    return {
        **resource,
        "id": resource_id,
        "outputs": dict(resource.get("inputs") or {}),
        "created": time,
        "modified": time,
    }


def _in_order(resources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources, each after all that it depends on, as the engine insists; otherwise as they are."""
    living = {item["urn"]: item for item in resources if not item.get("delete")}
    placed: dict[int, dict[str, Any]] = {}

    def place(item: dict[str, Any]) -> None:
        if id(item) in placed or id(item) in path:
            return
        path.add(id(item))
        for urn in _needs(item):
            if urn in living:
                place(living[urn])
        path.discard(id(item))
        placed[id(item)] = item

    path: set[int] = set()
    for item in resources:
        place(item)
    return list(placed.values())


def _needs(item: Mapping[str, Any]) -> set[str]:
    provider = item.get("provider", "").rpartition("::")[0]  # a provider is referred to as `<urn>::<id>`
    by_property = [urn for urns in (item.get("propertyDependencies") or {}).values() for urn in urns or ()]
    return {
        item.get("parent", ""),
        provider,
        item.get("deletedWith", ""),
        *item.get("dependencies", ()),
        *by_property,
    }


def _unlock(home: Home, spec: StackSpec) -> list[int]:
    """Remove the engine's own locks whose process is gone; returns the process ids.

    Raises:
        LockedError: for any other lock.
    """
    removed = []
    folder = home.state / ".pulumi" / "locks" / "organization" / spec.pulumi_project / spec.stack
    for path in sorted(folder.glob("*.json")):
        lock: dict[str, Any] = {}
        with suppress(ValueError):  # a lock that was cut off while it was written
            lock = json.loads(path.read_bytes())
        pid, host = int(lock.get("pid", 0)), lock.get("hostname", socket.gethostname())
        if host != socket.gethostname() or not _gone(pid):
            raise LockedError(
                f"the engine's state of {spec} is locked",
                f"by {lock.get('username')}@{host} pid {pid} since {lock.get('timestamp')}",
                f"wait for it to end; if it is gone, remove {path}",
            )
        path.unlink(missing_ok=True)
        removed.append(pid)
    return removed


def _gone(pid: int) -> bool:
    """Whether the engine with this process id has ended; one that was just killed takes a moment."""
    end = time.monotonic() + _ENDING_SECONDS
    while _is_engine(pid):
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True


def _is_engine(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return "pulumi" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _back_up(home: Home, spec: StackSpec) -> Path:
    """A private copy of the checkpoint; the last few are kept."""
    folder = home.work(spec.pulumi_project, spec.stack) / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    backup = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"
    _write_private(backup, state.checkpoint_path(home, spec).read_bytes())
    for old in sorted(folder.glob("*.json"))[:-_BACKUPS_KEPT]:
        old.unlink()
    return backup


def _write(home: Home, spec: StackSpec, deployment: Mapping[str, Any]) -> None:
    path = state.checkpoint_path(home, spec)
    document = json.loads(path.read_bytes())
    document["checkpoint"]["latest"] = deployment
    _write_private(path, json.dumps(document).encode())


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise


def _nothing() -> None:
    """A program for operations that run none."""
