"""What the verbs return: frozen, serialisable, the same for every target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Operation = Literal["same", "create", "update", "replace", "delete"]
DriftKind = Literal["changed", "missing"]


@dataclass(frozen=True)
class ResourceChange:
    """What an update would do, or did, to one resource.

    Attributes:
        layer: `base` or `serve`.
        type: the resource type, such as `llmctl:local:Gateway`.
        name: the logical name.
        operation: what happens to it.
        keys: property paths that differ, sorted; empty for create and delete.
        seconds: how long it took; 0.0 in a preview.
    """

    layer: str
    type: str
    name: str
    operation: Operation
    keys: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Risk:
    """One consequence of an update for requests in flight, in words."""

    resource: str
    message: str


@dataclass(frozen=True)
class Preview:
    """What `up` would change. Nothing was changed."""

    stack: str
    target: str
    changes: tuple[ResourceChange, ...]
    risks: tuple[Risk, ...]
    duration_seconds: float

    @property
    def has_changes(self) -> bool:
        """Whether `up` would do anything."""
        return any(change.operation != "same" for change in self.changes)


@dataclass(frozen=True)
class Endpoint:
    """Where and how to call a stack.

    Attributes:
        url: base URL of the gateway, without a trailing slash.
        model: name of the model to ask.
        key_path: the 0600 file that holds the first API key, or None when the gateway asks for none.
        path: path of the first request to try, such as `/v1/classify`.
        body: JSON of the first request to try.
    """

    url: str
    model: str
    key_path: str | None
    path: str
    body: str


@dataclass(frozen=True)
class Update:
    """What `up` did."""

    stack: str
    target: str
    changes: tuple[ResourceChange, ...]
    endpoint: Endpoint
    outputs: dict[str, object]
    healed: tuple[str, ...]
    first_answer: dict[str, object] | None
    duration_seconds: float


@dataclass(frozen=True)
class Teardown:
    """What `down` removed, and what it found left.

    Attributes:
        stack: the stack.
        changes: what was done to each recorded resource.
        kept: names of the resources of `base`, which stay unless all layers go.
        leftovers: what is still there although it should be gone.
        duration_seconds: how long it took.
        swept: processes that ran although nothing recorded them, and were ended.
    """

    stack: str
    changes: tuple[ResourceChange, ...]
    kept: tuple[str, ...]
    leftovers: tuple[str, ...]
    duration_seconds: float
    swept: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplicaStatus:
    """One model server or the gateway, as it is now.

    Attributes:
        component: `server`, `gateway` or `supervisor`.
        name: such as `server-1-0`.
        state: `ready`, `starting`, `draining`, `stopped`, `crashed`.
        pid: process id, or None.
        address: `host:port`, or None.
        uptime_seconds: since the process started, or None.
        restarts: how often the supervisor had to start it again.
        reason: the last lines of its log when it is not ready; empty otherwise.
    """

    component: str
    name: str
    state: str
    pid: int | None = None
    address: str | None = None
    uptime_seconds: float | None = None
    restarts: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """A stack as it is now: `running`, `degraded`, `stopped`, `interrupted` or `absent`."""

    stack: str
    target: str
    state: str
    endpoint: Endpoint | None
    replicas: tuple[ReplicaStatus, ...]
    resources: int
    pending: tuple[str, ...]
    locked_by: str | None


@dataclass(frozen=True)
class DriftItem:
    """One difference between what is recorded and what is there."""

    layer: str
    type: str
    name: str
    kind: DriftKind
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Drift:
    """The gap between recorded and actual. Nothing was changed."""

    stack: str
    items: tuple[DriftItem, ...]
    duration_seconds: float


@dataclass(frozen=True)
class Recovery:
    """What `recover` found and mended, a sentence each."""

    stack: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class LockStatus:
    """Who holds a stack.

    Attributes:
        stack: the stack.
        held: whether an operation holds it now.
        owner: `user@host pid N`, or None.
        verb: what the owner runs, or None.
        age_seconds: since the owner took it, or None.
        stale: held by a process that no longer lives.
    """

    stack: str
    held: bool
    owner: str | None = None
    verb: str | None = None
    age_seconds: float | None = None
    stale: bool = False


@dataclass(frozen=True)
class LogLine:
    """One line of a component's log. `time` is ISO 8601 in UTC, or None when the line carries none."""

    component: str
    replica: str
    time: str | None
    text: str


@dataclass(frozen=True)
class Answer:
    """What the endpoint said to `invoke`."""

    status: int
    body: object
    request_id: str | None
    milliseconds: float


@dataclass(frozen=True)
class Check:
    """One line of `doctor`: `ok`, `warning` or `failed`."""

    name: str
    state: str
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found, and what it mended with `--fix`."""

    checks: tuple[Check, ...]
    fixed: tuple[str, ...] = field(default=())
