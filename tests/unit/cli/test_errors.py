"""How errors leave: three parts on stderr or one document on stdout, and the right exit code."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import llmctl as package
from llmctl_stacks import errors
from llmctl_stacks.errors import LlmctlError

ROOT = Path(__file__).parents[3]


def tree(cls: type[LlmctlError]) -> list[type[LlmctlError]]:
    """The classes below `cls` that `llmctl_stacks.errors` declares."""
    found = [below for below in cls.__subclasses__() if below.__module__ == errors.__name__]
    return [*found, *(deeper for below in found for deeper in tree(below))]


CODES = {
    "UsageError": 2,
    "ConfigError": 2,
    "PreflightError": 3,
    "EngineMissing": 3,
    "DeployError": 4,
    "RefusedError": 7,
    "LockedError": 8,
    "NotFoundError": 9,
    "LeftoversError": 11,
    "DeadlineError": 124,
    "Interrupted": 130,
}


def example(cls: type[LlmctlError]) -> LlmctlError:
    """An error of the class, with a why of two lines."""
    if cls is errors.ConfigError:
        where = Path("stacks/dev.yaml")
        return errors.ConfigError(
            tuple(errors.Problem(where, line, "a.b", "must be > 0") for line in (3, 9)), "edit it"
        )
    return cls("it broke", "first line\nsecond line", "llmctl doctor", port=1)


def test_every_error_class_has_its_exit_code_in_this_table() -> None:
    assert {cls.__name__ for cls in tree(LlmctlError)} == set(CODES)


@pytest.mark.parametrize("name", CODES)
def test_an_error_is_three_parts_on_stderr_and_an_exit_code(llmctl: Any, fake: Any, name: str) -> None:
    fake.failure = error = example(getattr(errors, name))

    result = llmctl("status")

    why = "".join(f"  {line}\n" for line in error.why.splitlines())
    assert result.stderr == f"error: {error.what}\n{why}next: {error.fix}\n"
    assert (result.stdout, result.exit_code) == ("", CODES[name])


@pytest.mark.parametrize("name", CODES)
def test_an_error_is_one_document_on_stdout_in_json(llmctl: Any, fake: Any, name: str) -> None:
    fake.failure = error = example(getattr(errors, name))

    result = llmctl("status", "--output=json")

    assert json.loads(result.stdout) == {
        "schema": 1,
        "kind": "Error",
        "code": name,
        "exit_code": CODES[name],
        "what": error.what,
        "why": error.why,
        "fix": error.fix,
        "details": error.details,
    }
    assert (result.stderr, result.exit_code) == ("", CODES[name])


def test_an_error_without_cause_or_cure_is_one_line(llmctl: Any, fake: Any) -> None:
    fake.failure = errors.RefusedError("stack `dev` is protected")

    assert llmctl("up", "dev").stderr == "error: stack `dev` is protected\n"


def test_control_characters_of_an_error_cannot_steer_the_terminal(llmctl: Any, fake: Any) -> None:
    fake.failure = errors.DeployError("server failed", "last line: \x1b]0;owned\x07")

    assert "  last line: \\x1b]0;owned\\x07\n" in llmctl("status").stderr


def test_what_nobody_foresaw_is_one_line_and_the_way_to_more(llmctl: Any, fake: Any) -> None:
    fake.failure = ZeroDivisionError("division by zero\nsecond line")

    result = llmctl("status")

    assert result.stderr == (
        "error: unexpected ZeroDivisionError: division by zero\n"
        "  this is a defect of llmctl\n"
        "next: run again with `--debug` and report what it shows\n"
    )
    assert (result.stdout, result.exit_code) == ("", 1)
    assert json.loads(llmctl("status", "-o", "json").stdout)["code"] == "InternalError"


@pytest.mark.parametrize("how", [["--debug", "status"], ["status", "--debug"]])
def test_debug_adds_the_whole_traceback(llmctl: Any, fake: Any, how: list[str]) -> None:
    fake.failure = ZeroDivisionError("division by zero")

    result = llmctl(*how)

    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert "conftest.py" in result.stderr
    assert result.stderr.count("error: unexpected ZeroDivisionError") == 1


def test_debug_can_come_from_the_environment(llmctl: Any, fake: Any) -> None:
    fake.failure = errors.NotFoundError("no stack")

    assert llmctl("status", env={"LLMCTL_DEBUG": "1"}).stderr.startswith("Traceback")
    assert llmctl("status", env={"LLMCTL_DEBUG": "0"}).stderr == "error: no stack\n"


def test_ctrl_c_outside_an_operation_ends_with_130_and_no_words(llmctl: Any, fake: Any) -> None:
    fake.failure = KeyboardInterrupt()

    result = llmctl("logs", "--follow")

    assert (result.stdout, result.stderr, result.exit_code) == ("", "", 130)


USAGE = {
    "upp": "error: no such command `upp`\n  did you mean `up`?\nnext: llmctl --help\n",
    "stats": "error: no such command `stats`\n  did you mean `status`?\nnext: llmctl --help\n",
    "lock relase": "error: no such command `relase`\n  did you mean `release`?\nnext: llmctl lock --help\n",
    "xyzzy": "error: no such command `xyzzy`\nnext: llmctl --help\n",
    "lock": "error: missing command\nnext: llmctl lock --help\n",
    "up --frob": "error: no such option `--frob`\nnext: llmctl up --help\n",
    "preview --exitcode": (
        "error: no such option `--exitcode`\n  did you mean `--exit-code`?\nnext: llmctl preview --help\n"
    ),
    "up a b": "error: unexpected argument `b`\nnext: llmctl up --help\n",
    "config explain": "error: missing argument `KEY`\nnext: llmctl config explain --help\n",
    "logs -n many": (
        "error: invalid value for `--lines` / `-n`: `many` is not a whole number\nnext: llmctl logs --help\n"
    ),
    "logs --since yesterday": (
        "error: invalid value for `--since`: `yesterday` is not a duration such as `30`, `90s`, `10m` or `2h`\n"
        "next: llmctl logs --help\n"
    ),
    "status -o yaml": (
        "error: invalid value for `--output` / `-o`: `yaml` is not one of `text`, `json`, `ndjson`\n"
        "next: llmctl status --help\n"
    ),
}


@pytest.mark.parametrize("line", USAGE)
def test_a_mistyped_command_line_says_what_was_meant_and_exits_with_2(llmctl: Any, line: str) -> None:
    result = llmctl(*line.split())

    assert (result.stderr, result.stdout, result.exit_code) == (USAGE[line], "", 2)


@pytest.mark.parametrize(
    "line",
    [
        "-o json upp",
        "upp -o json",
        "up --frob --output json",
        "up --frob -ojson",
        "--output=json lock",
        "lock -o=json",
    ],
)
def test_a_command_line_that_does_not_parse_still_answers_in_json(llmctl: Any, line: str) -> None:
    result = llmctl(*line.split())

    assert json.loads(result.stdout)["code"] == "UsageError"
    assert (result.stderr, result.exit_code) == ("", 2)


def test_a_command_line_that_does_not_parse_answers_in_the_format_of_the_environment(llmctl: Any) -> None:
    result = llmctl("upp", env={"LLMCTL_OUTPUT": "ndjson"})

    assert json.loads(result.stdout)["what"] == "no such command `upp`"
    assert result.stdout.count("\n") == 1


def test_a_reader_that_has_gone_ends_llmctl_without_a_word(tmp_path: Path) -> None:
    script = (
        "import os, sys; os.close(0); read, write = os.pipe(); os.close(read); os.dup2(write, 1);"
        "from llmctl.app import main; main()"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("cli", "stacks", "infra")),
    }

    done = subprocess.run(
        [sys.executable, "-c", script, "config", "schema"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (141, b"")


def test_no_command_returns_an_exit_where_it_should_raise_it() -> None:
    sources = sorted(Path(next(iter(package.__path__))).rglob("*.py"))
    returned = [
        f"{source.name}:{node.lineno}"
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Return) and node.value is not None and "Exit" in ast.unparse(node.value)
    ]

    assert len(sources) > 20
    assert returned == []
