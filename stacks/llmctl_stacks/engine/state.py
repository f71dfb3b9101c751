"""What the engine has recorded of a stack, read from its checkpoint without starting anything.

The `file://` backend keeps a stack as JSON under `.pulumi/stacks/<project>/<stack>.json` (pulumi/pulumi,
`sdk/go/common/apitype/core.go`, version 3). Secrets in it are ciphertext and stay so here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import DeployError
from llmctl_stacks.home import Home

SECRET: Final = "[secret]"  # noqa: S105 - a mask
"""Stands for a secret value wherever state is shown."""

_VERSION = 3
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Resource:
    """One recorded resource.

    Attributes:
        urn: the engine's name.
        type: its type token.
        name: its logical name.
        id: the provider's id; empty for a component.
        parent: URN of the resource it belongs to, or empty.
        inputs: as recorded; a secret is the text `SECRET`.
        outputs: likewise; inputs included.
        component: it only groups others.
        deleting: it was replaced and still waits for its deletion.
    """

    urn: str
    type: str
    name: str
    id: str = ""
    parent: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    component: bool = False
    deleting: bool = False


@dataclass(frozen=True)
class Pending:
    """A step that began and whose end was never recorded.

    Attributes:
        kind: `creating`, `updating`, `deleting`, `reading` or `importing`.
        resource: what it was done to; an interrupted create has no id.
    """

    kind: str
    resource: Resource

    def __str__(self) -> str:
        """`creating gateway`."""
        return f"{self.kind} {self.resource.name}"


@dataclass(frozen=True)
class Checkpoint:
    """The recorded state of one Pulumi stack.

    Attributes:
        resources: in the order of the engine, parents first; providers and the stack itself left out.
        outputs: what the program exports; secrets are the text `SECRET`.
        pending: interrupted steps.
    """

    resources: tuple[Resource, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()


def checkpoint_path(home: Home, spec: StackSpec) -> Path:
    """Where the engine keeps the state of the stack."""
    return home.state / ".pulumi" / "stacks" / spec.pulumi_project / f"{spec.stack}.json"


def exists(home: Home, spec: StackSpec) -> bool:
    """Whether the Pulumi stack was ever initialised."""
    return checkpoint_path(home, spec).exists()


def read(home: Home, spec: StackSpec) -> Checkpoint:
    """What is recorded of the stack; an empty checkpoint when there is none.

    Raises:
        DeployError: when the file cannot be understood.
    """
    latest = deployment(home, spec)
    resources = tuple(_resource(raw) for raw in latest.get("resources") or ())
    outputs = next((item.outputs for item in resources if item.type == _STACK_TYPE), {})
    return Checkpoint(
        resources=tuple(item for item in resources if not item.type.startswith("pulumi:")),
        outputs=outputs,
        pending=tuple(
            Pending(raw.get("type", ""), _resource(raw["resource"]))
            for raw in latest.get("pending_operations") or ()
        ),
    )


def deployment(home: Home, spec: StackSpec) -> dict[str, Any]:
    """The raw deployment of the stack's checkpoint; empty when there is none.

    Raises:
        DeployError: when the file cannot be understood.
    """
    path = checkpoint_path(home, spec)
    try:
        document = json.loads(path.read_bytes())
        version, latest = document["version"], dict(document["checkpoint"].get("latest") or {})
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(spec, path, f"{type(error).__name__}: {error}") from error
    if version != _VERSION:
        raise _unreadable(spec, path, f"its version is {version}, not {_VERSION}")
    return latest


def mask(value: Any, secret: Any = SECRET) -> Any:
    """`value` with every encrypted secret at any depth replaced by `secret`."""
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            return secret
        return {name: mask(item, secret) for name, item in value.items()}
    if isinstance(value, list):
        return [mask(item, secret) for item in value]
    return value


def _resource(raw: Mapping[str, Any]) -> Resource:
    urn = raw["urn"]
    return Resource(
        urn=urn,
        type=raw["type"],
        name=urn.split("::", 3)[-1],
        id=raw.get("id", ""),
        parent=raw.get("parent", ""),
        inputs=mask(raw.get("inputs") or {}),
        outputs=mask(raw.get("outputs") or {}),
        component=not raw.get("custom", False),
        deleting=bool(raw.get("delete")),
    )


def _unreadable(spec: StackSpec, path: Path, why: str) -> DeployError:
    cure = f"restore {path}.bak, which the engine keeps of the step before"
    return DeployError(f"the state of {spec} cannot be read", f"{path}: {why}", cure)
