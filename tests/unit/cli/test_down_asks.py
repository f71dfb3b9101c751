"""`down` asks a person, and only a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmctl.console import Console

QUESTION = "its endpoint stops answering and its data stays: take stack `dev` down?"


def went_down(fake: Any) -> bool:
    """Whether the verb was called."""
    return [verb for verb, *_ in fake.asked] == ["down"]


def test_without_a_terminal_it_changes_nothing_and_names_the_flag(llmctl: Any, fake: Any) -> None:
    result = llmctl("down", "dev", input="y\n")

    assert result.stderr == (
        f"error: this needs a yes, and there is no terminal to ask on\n  {QUESTION}\nnext: llmctl down dev --yes\n"
    )
    assert (result.stdout, result.exit_code, went_down(fake)) == ("", 2, False)


def test_the_command_to_run_instead_keeps_the_flags(llmctl: Any) -> None:
    document = json.loads(llmctl("down", "--all", "--force", "-o", "json").stdout)

    assert document["fix"] == "llmctl down local --all --force --yes"


@pytest.mark.parametrize(
    ("line", "environment"), [("down dev --yes", {}), ("-y down dev", {}), ("down dev", {"LLMCTL_YES": "1"})]
)
def test_a_yes_in_advance_is_a_yes(llmctl: Any, fake: Any, line: str, environment: dict[str, str]) -> None:
    result = llmctl(*line.split(), env=environment)

    assert (result.exit_code, went_down(fake)) == (0, True)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("typed", ["y\n", "Yes\n"])
def test_a_person_may_say_yes(llmctl: Any, fake: Any, typed: str) -> None:
    result = llmctl("down", "dev", input=typed)

    assert result.stderr == f"{QUESTION} [y/N] "
    assert (result.exit_code, went_down(fake)) == (0, True)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("typed", ["\n", "n\n", "", "yess\n"])
def test_anything_else_is_a_no(llmctl: Any, fake: Any, typed: str) -> None:
    result = llmctl("down", "dev", input=typed)

    assert result.stderr == f"{QUESTION} [y/N] error: not confirmed\n  nothing was changed\n"
    assert (result.exit_code, went_down(fake)) == (2, False)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("typed", "code"), [("dev\n", 0), ("y\n", 2), ("local\n", 2)])
def test_force_asks_for_the_name_of_the_stack(llmctl: Any, fake: Any, typed: str, code: int) -> None:
    result = llmctl("down", "dev", "--force", input=typed)

    assert f"{QUESTION} type `dev` to go on: " in result.stderr
    assert (result.exit_code, went_down(fake)) == (code, code == 0)


@pytest.mark.usefixtures("terminal")
def test_the_question_says_when_data_goes_too(llmctl: Any) -> None:
    result = llmctl("down", "dev", "--all", input="n\n")

    assert result.stderr.startswith(
        "its endpoint stops answering and its models, keys and request log are deleted too: take stack `dev` down?"
    )


@pytest.mark.parametrize(("value", "asks"), [("true", False), ("1", False), ("", True), ("false", True)])
def test_ci_never_asks_even_with_a_terminal(monkeypatch: Any, value: str, asks: bool) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", Terminal())
    monkeypatch.setenv("CI", value)

    assert (Console().can_ask, Console().can_redraw) == (asks, asks)


@pytest.mark.parametrize(
    "line", ["up dev", "refresh dev", "recover dev", "lock release dev --force", "doctor --fix"]
)
def test_no_other_verb_asks(llmctl: Any, line: str) -> None:
    assert llmctl(*line.split()).exit_code == 0
