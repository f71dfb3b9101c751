"""`config explain KEY`, and the files that `init` writes."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from llmctl_stacks.config import Explanation, explain, find_project, load, scaffold, schema, validate
from llmctl_stacks.config.catalogue import walk
from llmctl_stacks.errors import UsageError


def test_a_key_is_explained_in_full() -> None:
    assert explain("gateway.rate_limits[0].rps") == Explanation(
        key="gateway.rate_limits[].rps",
        type="number above 0",
        required=True,
        default=None,
        description="Requests per second on average; more are answered 429.",
        targets=("local", "kubernetes", "aws"),
        example=50,
        references="any",
        keys=(),
    )


def test_a_section_lists_its_keys_and_inherits_nothing_it_does_not_consume() -> None:
    logs = explain("observability.logs")

    assert logs.keys == ("max_size", "keep")
    assert logs.default == {"max_size": "10MiB", "keep": 3}
    assert explain("observability.logs.keep").targets == logs.targets == ("local",)


@pytest.mark.parametrize("pattern", [pattern for pattern, _, _ in walk()])
def test_every_key_can_be_explained_with_or_without_brackets(pattern: str) -> None:
    assert explain(pattern) == explain(pattern.replace("[]", "")) == explain(pattern.replace("[]", "[3]"))


def test_a_free_key_is_explained_by_its_mapping() -> None:
    assert explain("server.environment.HF_TOKEN").key == "server.environment"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("gateway.timout", "did you mean `gateway.timeout`?"),
        ("replicas", "did you mean `scaling.replicas`?"),
        ("zzz", "`llmctl config schema` lists every key"),
        ("", "`llmctl config schema` lists every key"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(UsageError, match="no key") as caught:
        explain(key)

    assert caught.value.fix == hint


@pytest.mark.parametrize("source", ["builtin://attention", "file://models/mine"])
def test_what_init_writes_loads_unedited(tmp_path: Path, source: str) -> None:
    for name, text in scaffold("shop", source=source).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    project = find_project(tmp_path)

    assert validate(project) == ()
    config = load(project, "local").config
    assert (config.name, config.target, config.models[0].source) == ("shop", "local", source)


def test_what_init_writes_is_the_defaults_so_that_nothing_changes_when_a_line_is_removed(tmp_path: Path) -> None:
    files = scaffold("shop")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "llmctl.yaml").write_text(files["llmctl.yaml"])
    (tmp_path / "stacks/local.yaml").write_text(files["stacks/local.yaml"])
    (tmp_path / "stacks/bare.yaml").write_text("target: local\n")
    written = load(find_project(tmp_path), "local").fingerprint
    (tmp_path / "llmctl.yaml").write_text("name: shop\n")

    assert load(find_project(tmp_path), "bare").fingerprint == written


def test_what_init_writes_names_a_schema_that_accepts_it() -> None:
    files = scaffold("shop")

    for name in ("llmctl.yaml", "stacks/local.yaml"):
        first, _, rest = files[name].partition("\n")
        relative = first.removeprefix("# yaml-language-server: $schema=")
        assert (Path(name).parent / relative).as_posix() in files
        jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(rest))


def test_a_project_name_that_is_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="project name"):
        scaffold("My Project")
