"""Finding a project, and knowing where every value comes from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmctl_stacks.config import find_project, load, show, show_yaml

from .conftest import Write


def test_a_project_is_found_from_any_folder_inside_it(write: Write, tmp_path: Path) -> None:
    project = write()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    assert find_project(deep) == project
    assert project.stacks() == ("prod",)


def test_a_file_or_its_folder_can_be_named(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write()
    other = project.root / "other.yaml"
    other.write_text("name: other\n")
    monkeypatch.chdir(tmp_path / "home")

    assert find_project(Path(), Path("..")) == project
    assert find_project(Path(), Path("../llmctl.yaml")) == project
    assert load(find_project(Path(), Path("../other.yaml")), "prod").config.name == "other"


def test_stacks_are_the_yaml_files_with_the_name_of_a_stack_sorted(write: Write) -> None:
    project = write()
    for name in ("dev.yaml", "Big.yaml", ".hidden.yaml", "note.txt", "old.yml"):
        (project.stacks_dir / name).write_text("")

    assert project.stacks() == ("dev", "prod")


def test_messages_name_files_as_they_would_be_typed_in_the_working_folder(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write("target: local\n")
    monkeypatch.chdir(project.stacks_dir)

    origins = load(project, "prod").origins

    assert str(origins["target"]) == "prod.yaml:1"
    assert str(origins["name"]) == "../llmctl.yaml:1"


def test_files_far_away_are_named_in_full(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write()
    far = tmp_path / "a" / "b" / "c"
    far.mkdir(parents=True)
    monkeypatch.chdir(far)

    assert str(load(project, "prod").origins["name"]) == f"{project.base_file}:1"


def test_files_are_named_in_full_when_the_working_folder_is_gone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert str(load(project, "prod").origins["name"]) == f"{project.base_file}:1"


def test_every_value_has_an_origin_and_defaults_say_so(write: Write) -> None:
    project = write("scaling:\n  replicas: 3\n", base="name: demo\nmodels:\n  - name: attention\n")
    shown = show(load(project, "prod"), origin=True)

    assert shown["scaling.replicas"] == {"value": 3, "origin": "stacks/prod.yaml:2"}
    assert shown["models[0].name"] == {"value": "attention", "origin": "llmctl.yaml:3"}
    assert shown["gateway.timeout"] == {"value": "30s", "origin": "default"}
    assert shown["gateway.api_keys[0].name"] == {"value": "default", "origin": "default"}


def test_only_what_the_target_consumes_is_shown(write: Write) -> None:
    local = show(load(write(), "prod"))
    kubernetes = show(load(write("target: kubernetes\nkubernetes: {registry: localhost:5001}\n"), "prod"))

    assert "network" not in local
    assert "port" in local["gateway"]
    assert "port" not in kubernetes["gateway"]
    assert kubernetes["kubernetes"] == {"registry": "localhost:5001"}


def test_a_literal_under_the_name_of_a_secret_is_masked(write: Write) -> None:
    environment = "{HF_TOKEN: hunter2, API_KEY: '${secret:K}', TOKENIZERS_PARALLELISM: 'false'}"
    text = show_yaml(load(write(f"server: {{environment: {environment}}}\n"), "prod"), origin=True)

    assert "hunter2" not in text
    assert '    HF_TOKEN: "***"' in text
    assert "    API_KEY: ${secret:K}" in text
    assert '    TOKENIZERS_PARALLELISM: "false"' in text


def test_a_rate_limit_without_a_burst_takes_its_rate_rounded_up(write: Write) -> None:
    limits = "[{rps: 2.5}, {rps: 2.5, burst: 9, key: default}]"
    config = load(write(f"gateway: {{rate_limits: {limits}}}\n"), "prod").config

    assert [limit.tokens for limit in config.gateway.rate_limits] == [3, 9]


def test_a_loaded_configuration_cannot_be_changed(write: Write) -> None:
    config = load(write("tags: {a: b}\n"), "prod").config

    with pytest.raises(ValueError, match="frozen"):
        config.scaling.replicas = 3
    with pytest.raises(TypeError):
        config.tags["a"] = "c"  # type: ignore[index]


def test_importing_the_configuration_brings_neither_the_engine_nor_the_terminal() -> None:
    code = (
        "import sys, llmctl_stacks.config; "
        "print(sorted({'pulumi', 'rich', 'typer', 'grpc', 'docker', 'jsonschema'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "stacks")},
    )  # fmt: skip

    assert result.stdout == "[]\n"
