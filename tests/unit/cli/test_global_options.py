"""Options that every verb understands: before the verb, after it, or from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from llmctl.console import Console
from llmctl.options import duration
from llmctl_stacks.lifecycle import Options


def asked(fake: Any) -> Options:
    """The options of the latest call."""
    options: Options = fake.asked[-1][1]
    return options


def test_a_verb_hands_its_options_down(llmctl: Any, fake: Any) -> None:
    llmctl("up", "dev", "--config", "elsewhere", "--timeout", "10m", "--lock-wait", "30")

    assert asked(fake) == Options(stack="dev", config=Path("elsewhere"), lock_wait=30.0, timeout=600.0)


def test_options_may_stand_before_the_verb(llmctl: Any, fake: Any) -> None:
    llmctl("--config", "elsewhere", "--timeout", "2s", "--lock-wait", "1.5s", "refresh", "dev")

    assert asked(fake) == Options(stack="dev", config=Path("elsewhere"), lock_wait=1.5, timeout=2.0)


def test_options_may_come_from_the_environment(llmctl: Any, fake: Any) -> None:
    environment = {"LLMCTL_CONFIG": "elsewhere", "LLMCTL_TIMEOUT": "1h", "LLMCTL_LOCK_WAIT": "1d"}

    llmctl("up", "dev", env=environment)

    assert asked(fake) == Options(stack="dev", config=Path("elsewhere"), lock_wait=86400.0, timeout=3600.0)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("status", "json"),
        ("-o text status", "text"),
        ("status -o text", "text"),
        ("-o json status -o text", "text"),
        ("-o text status -o json", "json"),
    ],
)
def test_after_the_verb_beats_before_it_and_that_beats_the_environment(llmctl: Any, line: str, kind: str) -> None:
    result = llmctl(*line.split(), env={"LLMCTL_OUTPUT": "json"})

    assert result.stdout.startswith("{") is (kind == "json")


def test_quiet_leaves_the_result_and_the_errors_alone(llmctl: Any) -> None:
    quiet = llmctl("up", "dev", "--quiet")

    assert quiet.stderr == ""
    assert quiet.stdout == llmctl("up", "dev").stdout
    assert llmctl("up", "nope", "-q").stderr.startswith("error: ")


def test_verbose_tells_how_long_a_phase_took(llmctl: Any) -> None:
    assert "serve took 2.0s\n" in llmctl("up", "dev", "-v").stderr
    assert "serve took" not in llmctl("up", "dev").stderr


def test_the_default_stack_is_named_on_stderr_only_when_none_is_given(llmctl: Any, fake: Any) -> None:
    assert llmctl("preview").stderr == "stack `local`\n"
    assert llmctl("preview", "dev").stderr == ""
    assert llmctl("--quiet", "preview").stderr == ""
    assert asked(fake).stack == "local"


def test_the_only_stack_is_the_default_whatever_its_name(llmctl: Any, fake: Any, monkeypatch: Any) -> None:
    from llmctl_stacks import lifecycle

    monkeypatch.setattr(lifecycle, "stacks", lambda options: ("dev",))

    assert llmctl("preview").stderr == "stack `dev`\n"
    assert asked(fake).stack == "dev"


def test_without_a_default_the_stack_has_to_be_named(llmctl: Any, fake: Any, monkeypatch: Any) -> None:
    from llmctl_stacks import lifecycle

    monkeypatch.setattr(lifecycle, "stacks", lambda options: ("dev", "prod"))

    result = llmctl("up")

    assert result.stderr.startswith("error: which stack?\n  there are dev, prod\n")
    assert (result.exit_code, fake.asked) == (2, [])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400), (" 5s ", 5)],
)
def test_a_duration_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1w", "1 m", "nan", "inf", "1e3", "9" * 400, "1m30"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


class Terminal:
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize(
    ("console", "environment", "shown"),
    [
        (Console(), {}, True),
        (Console(color=False), {}, False),
        (Console(), {"NO_COLOR": "1"}, False),
        (Console(), {"NO_COLOR": ""}, True),
        (Console(), {"TERM": "dumb"}, False),
    ],
)
def test_colour_needs_a_terminal_and_nobody_against_it(
    monkeypatch: Any, console: Console, environment: dict[str, str], shown: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal: Any = Terminal()

    assert console.shows_color(terminal) is shown
    assert console.paint("ready", "green", terminal) == ("\x1b[32mready\x1b[0m" if shown else "ready")


def test_a_pipe_gets_no_colour() -> None:
    import io

    assert Console().paint("ready", "green", io.StringIO()) == "ready"


def test_glimpsing_at_a_broken_command_line_never_fails(llmctl: Any) -> None:
    result = llmctl("up", "--timeout", "x", "-o")

    assert result.exit_code == 2
    assert json.loads(llmctl("up", "--timeout", "x", "-o", "json").stdout)["code"] == "UsageError"
