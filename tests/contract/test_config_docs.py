"""What ships about the configuration is what the code says: reference page, schema, stack files, settings."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from llmctl_server.settings import variables
from llmctl_stacks.config import find_project, load, schema, validate
from llmctl_stacks.config.__main__ import generated, main
from llmctl_stacks.config.catalogue import find, walk
from llmctl_stacks.config.model import Server

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "local", "prod", "staging")
FILES = ("llmctl.yaml", *(f"stacks/{stack}.yaml" for stack in STACKS))


@pytest.mark.parametrize("name", ["config.md", "llmctl.schema.json"])
def test_the_generated_reference_is_fresh(name: str) -> None:
    committed = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")

    assert committed == generated()[name], "run `python -m llmctl_stacks.config docs/reference`"


def test_the_generator_writes_the_files_it_names(tmp_path: Path) -> None:
    main([str(tmp_path / "reference")])

    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "reference").iterdir()}
    assert written == generated()


def test_the_generator_says_how_it_is_used() -> None:
    with pytest.raises(SystemExit, match="usage: "):
        main([])


def test_the_reference_page_has_every_key() -> None:
    page = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")

    for pattern, key, _ in walk():
        assert f"`{pattern}`" in page or (key.kind == "section" or f"## {pattern}\n" in page), pattern


def test_the_checkout_is_a_project_whose_stacks_all_load() -> None:
    project = find_project(ROOT)

    assert project.stacks() == STACKS
    assert validate(project) == ()
    assert {stack: load(project, stack).config.target for stack in STACKS} == {
        "dev": "kubernetes",
        "local": "local",
        "prod": "aws",
        "staging": "aws",
    }


def test_every_key_is_written_in_one_of_the_shipped_files() -> None:
    project = find_project(ROOT)
    written = {
        re.sub(r"\[\d+\]", "[]", key)
        for stack in STACKS
        for key, origin in load(project, stack).origins.items()
        if origin.file is not None
    }

    missing = [pattern for pattern, _, _ in walk() if not any(key.startswith(pattern) for key in written)]
    assert missing == []


@pytest.mark.parametrize("name", FILES)
def test_a_shipped_file_names_the_schema_and_is_valid_by_it(name: str) -> None:
    first, _, rest = (ROOT / name).read_text(encoding="utf-8").partition("\n")
    named = (ROOT / name).parent / first.removeprefix("# yaml-language-server: $schema=")

    assert named.resolve() == ROOT / "docs/reference/llmctl.schema.json"
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(rest))


@pytest.mark.parametrize("name", ["llmctl.yaml", "stacks/local.yaml"])
def test_every_value_of_the_files_that_newcomers_read_has_a_comment(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if re.match(r"[ -]*[a-z_]+: \S", line)]

    bare = [line for line in values if " # " not in line and not re.match(r"target: local|  project: ", line)]
    assert values
    assert bare == []


def test_the_server_takes_every_value_that_the_configuration_allows() -> None:
    settings = {variable.name: variable for variable in variables()}

    for name in ("threads", "max_queue", "max_texts", "drain_delay", "grace", "log_level"):
        assert f"LLMCTL_{name.upper()}" in settings, name
        assert find(("server", name)) is not None
    assert settings["LLMCTL_MAX_QUEUE"].default == str(Server().max_queue)
    assert settings["LLMCTL_MAX_TEXTS"].default == str(Server().max_texts)
    assert settings["LLMCTL_MAX_TOKENS"].default == str(1000)
