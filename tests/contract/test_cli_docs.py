"""The reference pages of the command line are what the code says, and say all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from llmctl import docs, schema
from llmctl_stacks import errors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), [("cli.md", docs.cli_page), ("output.schema.json", docs.schema_page)])
def test_the_published_page_is_fresh(name: str, page: object) -> None:
    assert callable(page)

    assert (REFERENCE / name).read_text() == page(), "run `make docs`"


def test_the_generator_writes_both_pages_into_a_folder_that_it_makes(tmp_path: Path) -> None:
    docs.write(tmp_path / "docs" / "reference")

    written = {path.name: path.read_text() for path in (tmp_path / "docs" / "reference").iterdir()}
    assert written == {"cli.md": docs.cli_page(), "output.schema.json": docs.schema_page()}


def test_every_exit_code_that_an_error_can_end_with_is_explained() -> None:
    found = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and hasattr(value, "exit_code")
    }

    assert found <= set(docs.EXIT_CODES)


def test_the_page_covers_every_verb() -> None:
    page = (REFERENCE / "cli.md").read_text()

    titles = set(re.findall(r"^## llmctl (.+)$", page, re.MULTILINE))
    assert titles == {
        *("init", "up", "invoke", "preview", "refresh", "down", "status", "outputs", "logs", "drift", "doctor"),
        *("recover", "lock status", "lock release", "config show", "config validate", "config explain"),
        *("config schema", "version", "completion"),
    }


def test_the_schema_is_one_and_a_document_matches_one_kind_only() -> None:
    published = json.loads((REFERENCE / "output.schema.json").read_text())
    Draft202012Validator.check_schema(published)
    validator = Draft202012Validator(published)
    good = {"schema": 1, "kind": "Recovery", "stack": "dev", "actions": []}

    assert validator.is_valid(good)
    for broken in (
        {**good, "schema": 2},
        {**good, "kind": "Drift"},
        {**good, "actions": "none"},
        {name: value for name, value in good.items() if name != "stack"},
    ):
        assert not validator.is_valid(broken)


def test_a_field_is_described_in_the_schema_where_its_class_describes_it() -> None:
    published = json.loads((REFERENCE / "output.schema.json").read_text())
    teardown = published["$defs"]["TeardownDocument"]["properties"]

    assert teardown["swept"]["description"].startswith("processes that ran although nothing recorded them")
    assert len(published["oneOf"]) == len(schema.documents())
