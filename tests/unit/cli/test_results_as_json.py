"""`--output json` and `ndjson`: one document with an envelope, as the published schema says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llmctl import schema
from llmctl_stacks.errors import LockedError

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "output.schema.json"
KINDS = {
    "init": "Project",
    "up dev": "Update",
    "preview dev": "Preview",
    "refresh dev": "Drift",
    "down dev --yes": "Teardown",
    "status dev": "Status",
    "status local": "Status",
    "outputs": "Outputs",
    "logs": "Logs",
    "invoke hi": "Answer",
    "drift local": "Drift",
    "recover": "Recovery",
    "lock status": "LockStatus",
    "lock release": "LockStatus",
    "doctor --fix": "Diagnosis",
    "config show dev --origin": "Configuration",
    "config validate": "Validation",
    "config explain gateway.timeout": "Explanation",
    "version": "Version",
}


@pytest.fixture(scope="module")
def valid() -> Any:
    """Check a document against the published schema."""
    validator = Draft202012Validator(json.loads(PUBLISHED.read_text()))
    return validator.validate


def fields(kind: str) -> set[str]:
    """The names of a kind's fields."""
    [found] = [document for document in schema.documents() if document.__name__ == kind]
    return {field.name for field in dataclasses.fields(found)}


@pytest.mark.parametrize("line", KINDS)
def test_json_is_one_document_that_the_published_schema_describes(
    llmctl: Any, fake: Any, valid: Any, line: str
) -> None:
    fake.running.add("local")

    result = llmctl(*line.split(), "--output", "json")

    document = json.loads(result.stdout)
    valid(document)
    assert (document["schema"], document["kind"], result.exit_code) == (1, KINDS[line], 0)
    assert set(document) == {"schema", "kind"} | fields(KINDS[line])


def test_every_kind_of_document_is_produced_by_some_verb() -> None:
    elsewhere = {"Error", "Event", "LogLine"}

    assert set(KINDS.values()) | elsewhere == {kind.__name__ for kind in schema.documents()}


@pytest.mark.parametrize("verb", ["up", "drift", "refresh", "preview", "recover", "down"])
def test_ndjson_streams_events_and_ends_with_the_result(llmctl: Any, valid: Any, verb: str) -> None:
    result = llmctl(verb, "dev", "--yes", "--output", "ndjson")

    documents = [json.loads(line) for line in result.stdout.splitlines()]
    for document in documents:
        valid(document)
    *events, last = documents
    assert {event["kind"] for event in events} <= {"Event"}
    assert last["kind"] not in ("Event", "Error")
    assert result.stderr == ""


def test_ndjson_holds_the_events_of_an_update_in_order(llmctl: Any) -> None:
    result = llmctl("up", "dev", "-o", "ndjson")

    documents = [json.loads(line) for line in result.stdout.splitlines()]
    told = [(d["event"]["kind"], d["event"].get("state")) for d in documents[:-1]]
    assert told == [
        ("phase", "running"),
        ("resource", "running"),
        ("resource", "done"),
        ("diagnostic", None),
        ("phase", "done"),
    ]
    assert documents[-1]["stack"] == "dev"


def test_ndjson_of_an_operation_that_fails_ends_with_the_error(llmctl: Any, fake: Any, valid: Any) -> None:
    fake.failure = LockedError("stack `dev` is locked", "by ada", "llmctl lock status dev", owner="ada")

    result = llmctl("up", "dev", "-o", "ndjson")

    [document] = [json.loads(line) for line in result.stdout.splitlines()]
    valid(document)
    assert document == {
        "schema": 1,
        "kind": "Error",
        "code": "LockedError",
        "exit_code": 8,
        "what": "stack `dev` is locked",
        "why": "by ada",
        "fix": "llmctl lock status dev",
        "details": {"owner": "ada"},
    }
    assert (result.stderr, result.exit_code) == ("", 8)


def test_narration_stays_on_stderr_beside_json(llmctl: Any) -> None:
    result = llmctl("up", "dev", "-o", "json")

    assert result.stderr.startswith("serve\n")
    assert json.loads(result.stdout)["kind"] == "Update"


def test_logs_in_ndjson_are_one_line_each(llmctl: Any, valid: Any) -> None:
    result = llmctl("logs", "--follow", "-o", "ndjson")

    documents = [json.loads(line) for line in result.stdout.splitlines()]
    for document in documents:
        valid(document)
    assert [d["replica"] for d in documents] == ["server-1-0", "gateway"]


@pytest.mark.parametrize("line", ["logs --follow", "status --watch"])
def test_what_never_ends_is_refused_as_one_document(llmctl: Any, line: str) -> None:
    result = llmctl(*line.split(), "--output", "json")

    document = json.loads(result.stdout)
    assert (document["code"], document["fix"], result.exit_code) == ("UsageError", "use `--output ndjson`", 2)


@pytest.mark.parametrize("line", ["outputs", "lock status", "doctor", "version", "config show", "invoke hi"])
def test_a_verb_with_one_document_to_give_refuses_ndjson(llmctl: Any, line: str) -> None:
    after = llmctl(*line.split(), "-o", "ndjson")
    before = llmctl("-o", "ndjson", *line.split())

    assert (after.exit_code, before.exit_code) == (2, 2)
    assert json.loads(before.stdout)["what"] == "this verb has no `ndjson` output"
    assert "is not one of" in json.loads(after.stdout)["what"]


def test_config_schema_is_the_schema_itself(llmctl: Any) -> None:
    plain, wrapped = llmctl("config", "schema"), llmctl("config", "schema", "-o", "json")

    Draft202012Validator.check_schema(json.loads(plain.stdout))
    assert plain.stdout == wrapped.stdout


def test_configuration_problems_are_data_in_json(llmctl: Any, isolation: Any, valid: Any) -> None:
    (isolation / "stacks" / "dev.yaml").write_text("gatway: {}\n")

    result = llmctl("config", "validate", "-o", "json")

    document = json.loads(result.stdout)
    valid(document)
    [problem] = document["details"]["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == ("stacks/dev.yaml", 1, "gatway")
    assert (document["code"], result.exit_code) == ("ConfigError", 2)


def test_only_the_published_kinds_can_be_written() -> None:
    from llmctl import envelope

    with pytest.raises(TypeError, match="dict is not a result"):
        envelope.wrap({"status": 200})
