"""Where an operation stands, from its events alone: for the live view, the report and the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from llmctl_stacks.engine.events import Drift, Event, Operation
from llmctl_stacks.results import DriftItem, ResourceChange
from llmctl_stacks.results import Operation as Change

_CHANGES: Mapping[Operation, Change] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
}
Stage: TypeAlias = Literal["pending", "running", "done", "failed"]


@dataclass(frozen=True)
class ResourceProgress:
    """What is known of one resource.

    Attributes:
        urn: the engine's name of it.
        layer: `base` or `serve`.
        type: its type.
        name: its logical name.
        parent: URN of the resource it belongs to.
        component: it only groups others.
        operation: the latest step; a replacement stays one through all of its steps.
        state: `pending` until its first step begins.
        keys: property paths that differ.
        seconds: time spent in steps that change it.
        drift: what reading it found: `changed`, `missing`, or empty.
        drift_keys: property paths at which it was not as recorded.
    """

    urn: str
    layer: str = ""
    type: str = ""
    name: str = ""
    parent: str = ""
    component: bool = False
    operation: Operation = ""
    state: Stage = "pending"
    keys: tuple[str, ...] = ()
    seconds: float = 0.0
    drift: Drift = ""
    drift_keys: tuple[str, ...] = ()


@dataclass
class Tracker:
    """Folds events, in order, into the state of an operation. Depends on nothing but them.

    Attributes:
        resources: by URN, in order of their first event.
        diagnostics: warnings and errors, in order.
        summaries: the end of each engine operation, in order.
    """

    resources: dict[str, ResourceProgress] = field(default_factory=dict)
    diagnostics: list[Event] = field(default_factory=list)
    summaries: list[Event] = field(default_factory=list)

    def expect(self, urns: Iterable[str]) -> None:
        """Name resources that are known to exist before their first event: they show as pending."""
        for urn in urns:
            parts = urn.split("::", 3)
            kind = parts[2].rsplit("$", 1)[-1]
            self.resources.setdefault(urn, ResourceProgress(urn, type=kind, name=parts[3]))

    def feed(self, event: Event) -> None:
        """Take in one event."""
        if event.kind == "resource":
            before = self.resources.get(event.urn, ResourceProgress(event.urn))
            self.resources[event.urn] = _advance(before, event)
        elif event.kind == "diagnostic" and event.severity in ("warning", "error"):
            self.diagnostics.append(event)
        elif event.kind == "summary":
            self.summaries.append(event)
            if event.state == "done":
                self._close()

    def _close(self) -> None:
        """A component that registers no outputs never says that it is done; the end of the operation says it."""
        for urn, resource in self.resources.items():
            if resource.state == "running":
                self.resources[urn] = replace(resource, state="done")

    @property
    def stages(self) -> Mapping[Stage, int]:
        """How many resources are pending, running, done and failed; components do not count."""
        counted = Counter(resource.state for resource in self.resources.values() if not resource.component)
        return {stage: counted[stage] for stage in get_args(Stage)}

    @property
    def running(self) -> tuple[ResourceProgress, ...]:
        """The resources at work now; components do not count."""
        return tuple(r for r in self.resources.values() if r.state == "running" and not r.component)

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        """What was done, or would be, to each resource that reached a step; components and reads do not count."""
        reached = (r for r in self.resources.values() if not r.component and r.state != "pending")
        return tuple(
            ResourceChange(r.layer, r.type, r.name, change, r.keys, round(r.seconds, 3))
            for r in reached
            if (change := _CHANGES.get(r.operation)) is not None
        )

    @property
    def drift(self) -> tuple[DriftItem, ...]:
        """The resources that are not as recorded."""
        return tuple(
            DriftItem(r.layer, r.type, r.name, r.drift, r.drift_keys) for r in self.resources.values() if r.drift
        )


def _advance(before: ResourceProgress, event: Event) -> ResourceProgress:
    state: Stage = event.state if event.state in ("running", "failed") else "done"
    after = replace(
        before,
        layer=event.layer,
        type=event.type,
        name=event.name,
        parent=event.parent or before.parent,
        component=event.component,
        operation=event.operation,
        state=state,
    )
    if event.operation == "refresh":
        found = event.drift or before.drift
        return replace(after, drift=found, drift_keys=event.keys if event.drift else before.drift_keys)
    return replace(after, keys=event.keys or before.keys, seconds=before.seconds + (event.seconds or 0.0))
