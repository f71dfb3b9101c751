"""What an operation reports while it runs: our events, made from the engine's.

The engine streams JSON objects (pulumi/pulumi, `sdk/go/common/apitype/events.go`). `Normaliser` turns them
into a few kinds of `Event` that stay the same whatever the engine's version says, drops what no reader needs,
and takes the time. Debug messages are dropped unseen: the Pulumi SDK writes property values into them, secrets
included.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

VERSION = 1

Kind: TypeAlias = Literal["phase", "resource", "diagnostic", "summary", "notice"]
State: TypeAlias = Literal["", "running", "done", "failed"]
Operation: TypeAlias = Literal["", "same", "create", "update", "replace", "delete", "read", "refresh"]
Drift: TypeAlias = Literal["", "changed", "missing"]
Severity: TypeAlias = Literal["", "info", "warning", "error"]

_OPERATIONS: Mapping[str, Operation] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "discard-replaced": "replace",
    "import-replacement": "replace",
    "read-replacement": "replace",
    "read": "read",
    "refresh": "refresh",
    "import": "create",
    "discard": "delete",
}
_INTERNAL = ("pulumi:pulumi:Stack", "pulumi:providers:")
_SEVERITIES: Mapping[str, Severity] = {"info": "info", "info#err": "info", "warning": "warning", "error": "error"}
_COLOR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Event:
    """One thing that happened; fields that do not belong to its kind are empty.

    Attributes:
        kind: `resource`: a resource began or ended a step; `diagnostic`: the engine or a provider said
            something; `summary`: an operation of the engine ended; `phase`: a part of a verb began or ended,
            such as the smoke test; `notice`: llmctl says something.
        time: ISO 8601 in UTC with milliseconds.
        layer: `base` or `serve`; empty for the verb as a whole.
        message: what was said; of a phase, its name.
        severity: of a diagnostic or a notice.
        state: of a resource or a phase; of a summary `done` or `failed`.
        seconds: how long the step, phase or operation took, once it ended.
        urn: the engine's name of the resource.
        type: its type, such as `llmctl:local:Gateway`.
        name: its logical name.
        parent: URN of the resource it belongs to.
        component: it only groups other resources.
        operation: what is done to it. `refresh` reads what it really is; then `drift` says the outcome.
        keys: property paths that differ, sorted.
        drift: what a refresh found: `changed`, `missing`, or empty when all is as recorded.
        planned: this is a preview; nothing is done.
        counts: of a summary: resources by operation.
    """

    kind: Kind
    time: str
    layer: str = ""
    message: str = ""
    severity: Severity = ""
    state: State = ""
    seconds: float | None = None
    urn: str = ""
    type: str = ""
    name: str = ""
    parent: str = ""
    component: bool = False
    operation: Operation = ""
    keys: tuple[str, ...] = ()
    drift: Drift = ""
    planned: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The event as it goes into the NDJSON stream: its version, and every field that is not empty."""
        values = {**asdict(self), "keys": list(self.keys), "counts": dict(self.counts)}
        kept = {name: value for name, value in values.items() if value or isinstance(value, float)}
        return {"version": VERSION, **kept}


def now() -> str:
    """The present as events write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def notice(message: str, severity: Severity = "info", layer: str = "") -> Event:
    """What llmctl itself says."""
    return Event("notice", now(), layer=layer, message=message, severity=severity)


def phase(name: str, state: State, seconds: float | None = None, layer: str = "") -> Event:
    """A part of a verb that begins (`running`) or ends."""
    return Event("phase", now(), layer=layer, message=name, state=state, seconds=seconds)


class Normaliser:
    """Turns the engine's events of one operation into ours; keeps what spans several of them.

    Args:
        layer: written into every event.
        clock: seconds, monotonic.
    """

    def __init__(self, layer: str, clock: Any = time.monotonic) -> None:
        self._layer = layer
        self._clock = clock
        self._began = clock()
        self._started: dict[str, float] = {}
        self._refreshing: set[str] = set()

    def __call__(self, raw: Mapping[str, Any]) -> Event | None:
        """Our event for the engine's `raw` one; None when it is of no interest. Never raises on unknown shapes."""
        if found := raw.get("resourcePreEvent"):
            return self._resource(found, "running")
        if found := raw.get("resOutputsEvent"):
            return self._resource(found, "done")
        if found := raw.get("resOpFailedEvent"):
            return self._resource(found, "failed")
        if found := raw.get("diagnosticEvent"):
            return self._diagnostic(found)
        if found := raw.get("summaryEvent"):
            return self._summary(found)
        return None

    def _resource(self, raw: Mapping[str, Any], state: State) -> Event | None:
        about = raw.get("metadata") or {}
        urn, kind = about.get("urn", ""), about.get("type", "")
        if kind.startswith(_INTERNAL) and state != "failed":
            return None
        said = about.get("op", "")
        operation = _OPERATIONS.get(said, "")
        drift: Drift = ""
        if state == "running":
            self._started[urn] = self._clock()
            (self._refreshing.add if operation == "refresh" else self._refreshing.discard)(urn)
        elif urn in self._refreshing:
            drift, operation = _drift(about, operation), "refresh"
        return Event(
            "resource",
            now(),
            layer=self._layer,
            state=state,
            seconds=None if state == "running" else self._took(urn),
            urn=urn,
            type=kind,
            name=urn.split("::", 3)[-1],
            parent=_side(about).get("parent", ""),
            component=not _side(about).get("custom", False),
            operation=operation,
            keys=_keys(about) if operation != "same" else (),
            drift=drift,
            planned=bool(raw.get("planning")),
        )

    def _took(self, urn: str) -> float:
        now_ = self._clock()
        return round(float(now_ - self._started.get(urn, now_)), 3)

    def _diagnostic(self, raw: Mapping[str, Any]) -> Event | None:
        severity = _SEVERITIES.get(raw.get("severity", ""))
        message = _COLOR.sub("", raw.get("message", "")).strip()
        if severity is None or not message or raw.get("ephemeral"):
            return None
        urn = raw.get("urn", "")
        return Event(
            "diagnostic",
            now(),
            layer=self._layer,
            message=message,
            severity=severity,
            urn=urn,
            type=urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") >= 3 else "",
            name=urn.split("::", 3)[-1],
        )

    def _summary(self, raw: Mapping[str, Any]) -> Event:
        counts: dict[str, int] = {}
        for said, count in (raw.get("resourceChanges") or {}).items():
            operation = _OPERATIONS.get(said, said)
            counts[operation] = counts.get(operation, 0) + count
        return Event(
            "summary",
            now(),
            layer=self._layer,
            state="done" if raw.get("result") in ("succeeded", "", None) else "failed",
            seconds=round(float(self._clock() - self._began), 3),
            planned=bool(raw.get("isPreview")),
            counts=counts,
        )


def _drift(about: Mapping[str, Any], operation: Operation) -> Drift:
    """What reading a resource found; a refresh by itself says it by the operation, one in an update does not."""
    if operation == "delete" or (operation == "refresh" and about.get("new") is None):
        return "missing"
    return "changed" if operation == "update" or (operation == "refresh" and _keys(about)) else ""


def _side(about: Mapping[str, Any]) -> Mapping[str, Any]:
    return about.get("new") or about.get("old") or {}


def _keys(about: Mapping[str, Any]) -> tuple[str, ...]:
    detailed = about.get("detailedDiff") or {}
    return tuple(sorted(detailed or about.get("diffs") or ()))
