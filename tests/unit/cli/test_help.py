"""Help: quick, grouped by purpose, complete about variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from llmctl.app import app

ROOT = Path(__file__).parents[3]
HEAVY = ("pulumi", "pulumi_aws", "onnxruntime", "grpc", "yaml", "docker", "rich", "numpy", "torch", "pydantic")


def verbs(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below `group`, with the words that call it."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from verbs(command, (*path, name))


EVERY = dict(verbs(get_command(app)))


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own, with the packages of the checkout."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("cli", "stacks", "infra", "model_image"))
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "line", ["--help", "--version", "up --help", "config --help", "lock status -h", "completion zsh"]
)
def test_help_imports_nothing_heavy(line: str) -> None:
    # Once a verb is named, recent versions of typer read options with pydantic (0.02 s).
    allowed = [] if line.startswith("--") else ["pydantic"]
    script = (
        "import atexit, json, sys\n"
        f"atexit.register(lambda: json.dump([m for m in {HEAVY} if m in sys.modules], sys.stderr))\n"
        "from llmctl.app import main; main()"
    )

    done = python(script, *line.split())

    assert done.returncode == 0
    assert done.stdout
    assert json.loads(done.stderr) in ([], allowed)


def test_help_opens_with_where_to_start_and_groups_verbs_by_purpose(llmctl: Any) -> None:
    result = llmctl("--help")

    assert "Not sure where to start? Run `llmctl init` in an empty folder, then `llmctl" in result.stdout
    headings = [line for line in result.stdout.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Start:",
        "Operate:",
        "Inspect:",
        "Repair:",
        "Project:",
        "Options:",
        "Global options:",
    ]
    assert (result.stderr, result.exit_code) == ("", 0)


def test_without_a_verb_llmctl_shows_its_help(llmctl: Any) -> None:
    assert llmctl().stdout == llmctl("--help").stdout == llmctl("-h").stdout


def test_no_summary_in_the_list_of_verbs_is_cut_short(llmctl: Any) -> None:
    for line in ("--help", "config --help", "lock --help"):
        assert ".." not in llmctl(*line.split()).stdout.partition("\nOptions:")[0].partition("\n\n")[2]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_verb_explains_itself_and_its_parameters(llmctl: Any, words: tuple[str, ...]) -> None:
    command = EVERY[words]
    result = llmctl(*words, "--help")

    assert result.exit_code == 0
    assert command.help
    for param in command.params:
        assert param.help, f"{words} {param.name}"
        assert not param.help.endswith("."), f"{words} {param.name}"


VARIABLES = {
    "config": "LLMCTL_CONFIG",
    "output": "LLMCTL_OUTPUT",
    "yes": "LLMCTL_YES",
    "timeout": "LLMCTL_TIMEOUT",
    "lock_wait": "LLMCTL_LOCK_WAIT",
    "verbose": "LLMCTL_VERBOSE",
    "quiet": "LLMCTL_QUIET",
    "no_color": "NO_COLOR",
    "debug": "LLMCTL_DEBUG",
}


@pytest.mark.parametrize("words", [(), *EVERY], ids=lambda words: " ".join(words) or "llmctl")
def test_an_option_that_has_a_variable_names_it(llmctl: Any, words: tuple[str, ...]) -> None:
    command = EVERY.get(words, get_command(app))
    text = " ".join(llmctl(*words, "--help").stdout.split())

    for param in command.params:
        if variable := VARIABLES.get(param.name):
            assert f"[env var: {variable}]" in text


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_verb_takes_the_options_about_talking(words: tuple[str, ...]) -> None:
    command = EVERY[words]
    if hasattr(command, "commands") or words == ("completion",):
        return

    assert {"output", "verbose", "quiet", "no_color", "debug"} <= {param.name for param in command.params}


@pytest.mark.parametrize("verb", ["up", "preview", "down", "refresh", "drift", "recover"])
def test_operations_take_the_options_about_waiting(verb: str) -> None:
    assert {"yes", "timeout", "lock_wait", "config"} <= {param.name for param in EVERY[(verb,)].params}
