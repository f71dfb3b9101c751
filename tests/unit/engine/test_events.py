from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmctl_stacks.engine.events import Event, Normaliser, notice, phase
from llmctl_stacks.engine.schema import event_schema, text
from llmctl_stacks.engine.tracker import Tracker
from llmctl_stacks.results import DriftItem, ResourceChange

RECORDED = Path(__file__).parent / "events"
"""What the engine 3.259.0 sent in runs of a two-resource program; debug messages left out but for one."""

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "events.schema.json"
THING = "llmctl:test:Thing"
LOGS = sorted(path.stem for path in RECORDED.glob("*.jsonl"))


def _raw(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]


def _events(name: str) -> list[Event]:
    ticks = iter(range(10_000))
    normalise = Normaliser("base", clock=lambda: float(next(ticks)))
    return [event for raw in _raw(name) if (event := normalise(raw)) is not None]


def _tracker(name: str) -> Tracker:
    tracker = Tracker()
    for event in _events(name):
        tracker.feed(event)
    return tracker


def _changes(name: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(change.name, change.operation, change.keys) for change in _tracker(name).changes]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("preview", [("first", "create", ()), ("second", "create", ())]),
        ("create", [("first", "create", ()), ("second", "create", ())]),
        ("same", [("first", "same", ()), ("second", "same", ())]),
        ("replace", [("first", "replace", ("kind",)), ("second", "update", ("size",))]),
        ("drift", []),
        ("repair", [("first", "update", ("size",)), ("second", "create", ())]),
        ("destroy", [("second", "delete", ()), ("first", "delete", ())]),
    ],
)
def test_a_recorded_operation_folds_into_its_changes(
    name: str, changes: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert sorted(_changes(name)) == sorted(changes)


def test_a_change_has_layer_type_and_duration() -> None:
    first = next(change for change in _tracker("create").changes if change.name == "first")

    assert first == ResourceChange("base", THING, "first", "create", (), first.seconds)
    assert first.seconds > 0


@pytest.mark.parametrize("name", ["drift", "repair"])
def test_a_refresh_tells_drift_apart_from_changes(name: str) -> None:
    assert sorted(_tracker(name).drift, key=lambda item: item.name) == [
        DriftItem("base", THING, "first", "changed", ("size",)),
        DriftItem("base", THING, "second", "missing", ()),
    ]


def test_nothing_drifts_where_nothing_is_read() -> None:
    assert _tracker("replace").drift == ()


@pytest.mark.parametrize("name", sorted(set(LOGS) - {"failed"}))
def test_nothing_is_under_way_after_a_successful_operation(name: str) -> None:
    assert {resource.state for resource in _tracker(name).resources.values()} == {"done"}


def test_a_failed_step_is_failed_and_its_cause_is_kept() -> None:
    tracker = _tracker("failed")

    assert tracker.stages == {"pending": 0, "running": 0, "done": 0, "failed": 1}
    assert [(item.name, item.message) for item in tracker.diagnostics] == [
        ("first", "port taken: by nginx"),
        ("", "update failed"),
    ]
    assert tracker.summaries[-1].state == "failed"


def test_secrets_in_debug_messages_are_dropped_unseen() -> None:
    raw = (RECORDED / "create.jsonl").read_text()
    assert "token-of-first" in raw, "the log has lost what this test is about"

    told = "".join(json.dumps(event.to_json()) for event in _events("create"))

    assert "token-of" not in told
    assert "canary" not in told


def test_stages_count_resources_but_not_components() -> None:
    tracker = Tracker()
    tracker.expect([f"urn:pulumi:local::demo-base::llmctl:test:Group${THING}::{n}" for n in ("first", "second")])
    assert tracker.stages == {"pending": 2, "running": 0, "done": 0, "failed": 0}
    assert tracker.changes == ()

    seen = set()
    for event in _events("same"):
        tracker.feed(event)
        seen.add(tuple(tracker.stages.values()))
        assert len(tracker.running) == tracker.stages["running"]

    assert any(running for _, running, _, _ in seen)
    assert tracker.stages == {"pending": 0, "running": 0, "done": 2, "failed": 0}


def test_a_preview_is_marked_as_planned() -> None:
    assert {event.planned for event in _events("preview") if event.kind == "resource"} == {True}
    assert {event.planned for event in _events("create") if event.kind == "resource"} == {False}


def test_the_engines_own_resources_are_not_shown() -> None:
    for name in LOGS:
        assert not [event for event in _events(name) if event.type.startswith("pulumi:")]


def test_the_summary_counts_by_our_operations() -> None:
    assert dict(_tracker("replace").summaries[-1].counts)["replace"] >= 1


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"preludeEvent": {"config": {}}},
        {"cancelEvent": {}},
        {"somethingNew": {"deep": [1]}},
        {"resourcePreEvent": {}},
        {
            "resourcePreEvent": {
                "metadata": {"op": "extend-parameterize", "urn": "urn:x", "type": "t", "new": None}
            }
        },
        {"resOutputsEvent": {"metadata": None}},
        {"diagnosticEvent": {"severity": "error"}},
        {"diagnosticEvent": {"severity": "debug", "message": "hush"}},
        {"diagnosticEvent": {"severity": "info", "message": "for a moment", "ephemeral": True}},
        {"summaryEvent": {}},
    ],
)
def test_shapes_that_nobody_expected_do_no_harm(raw: dict[str, Any]) -> None:
    event = Normaliser("base")(raw)

    tracker = Tracker()
    if event is not None:
        tracker.feed(event)
    assert tracker.changes == ()
    assert tracker.diagnostics == []


def test_colours_are_taken_out_of_messages() -> None:
    raw = {
        "diagnosticEvent": {"severity": "warning", "message": "<{%fg 1%}>mind<{%reset%}> the \x1b[31mgap\x1b[0m\n"}
    }

    event = Normaliser("serve")(raw)

    assert event is not None
    assert (event.message, event.severity, event.layer) == ("mind the gap", "warning", "serve")


@pytest.mark.parametrize("state", ["running", "done", "failed"])
def test_phases_and_notices_are_no_resources(state: Any) -> None:
    tracker = Tracker()
    tracker.feed(phase("smoke", state, 1.5))
    tracker.feed(notice("hello"))

    assert tracker == Tracker()


def _everything() -> Iterator[Event]:
    for name in LOGS:
        yield from _events(name)
    yield phase("smoke test", "done", 0.2, layer="serve")
    yield notice("careful", "warning")


def test_every_event_matches_the_published_schema() -> None:
    schema = json.loads(PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    strict = jsonschema.Draft202012Validator({**schema, "additionalProperties": False})

    for event in _everything():
        strict.validate(json.loads(json.dumps(event.to_json())))


def test_the_published_schema_is_the_dataclass() -> None:
    assert PUBLISHED.read_text() == text(), (
        "run `python -m llmctl_stacks.engine.schema docs/reference/events.schema.json`"
    )
    assert list(event_schema()["properties"]) == ["version", *Event.__dataclass_fields__]


def test_empty_fields_are_left_out() -> None:
    assert set(notice("hello").to_json()) == {"version", "kind", "time", "message", "severity"}


def test_a_duration_of_zero_is_told() -> None:
    assert phase("smoke", "done", 0.0).to_json()["seconds"] == 0.0
