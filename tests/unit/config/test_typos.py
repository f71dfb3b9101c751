"""A typo in any key of any shipped stack is found, on its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmctl_stacks.config import find_project, load, show_yaml, validate

from .conftest import Write

ROOT = Path(__file__).parents[3]
FREE = ("tags:", "environment:")


def lines_with_keys(text: str) -> list[int]:
    """Indexes of the lines whose key has a meaning."""
    found = []
    free = None
    for index, line in enumerate(text.splitlines()):
        indent = len(line) - len(line.lstrip())
        if free is not None and indent > free:
            continue
        free = indent if line.strip() in FREE else None
        found.append(index)
    return found


STACKS = {stack: show_yaml(load(find_project(ROOT), stack)) for stack in find_project(ROOT).stacks()}


def typo(word: str, position: int, kind: str) -> str:
    """`word` with one letter doubled, dropped, changed or swapped with the next."""
    at = position % len(word)
    if kind == "double":
        return word[: at + 1] + word[at:]
    if kind == "drop":
        return word[:at] + word[at + 1 :] or "q"
    if kind == "swap" and word[at : at + 1] != word[at + 1 : at + 2] and word[at + 1 :]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + "q" + word[at + 1 :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stack=st.sampled_from(sorted(STACKS)),
    pick=st.integers(0, 999),
    position=st.integers(0, 30),
    kind=st.sampled_from(["double", "drop", "swap", "change"]),
)
def test_a_typo_in_a_key_is_found_on_its_line(
    write: Write, stack: str, pick: int, position: int, kind: str
) -> None:
    text = STACKS[stack]
    lines = text.splitlines()
    index = lines_with_keys(text)[pick % len(lines_with_keys(text))]
    match = re.match(r"([ -]*)([a-z_]+)(:.*)", lines[index])
    assert match is not None
    wrong = typo(match[2], position, kind)
    lines[index] = match[1] + wrong + match[3]

    problems = validate(write("\n".join(lines) + "\n", base="x-base: 1\n"), "prod")

    assert [
        (problem.line, problem.key.rpartition(".")[2]) for problem in problems if problem.message == "unknown key"
    ] == [(index + 1, wrong)]


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_what_show_prints_loads_to_the_same_configuration(stack: str, write: Write) -> None:
    original = load(find_project(ROOT), stack)
    again = load(write(STACKS[stack], base="x-base: 1\n"), "prod")

    assert again.config == original.config
    assert again.fingerprint == original.fingerprint
