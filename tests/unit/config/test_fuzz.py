"""Whatever is in the files, the answer is a configuration or a list of problems."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmctl_stacks.config import load, validate
from llmctl_stacks.config.catalogue import walk
from llmctl_stacks.config.emit import inline

from .conftest import Write

WORDS = sorted({key.name for _, key, _ in walk()})
PIECES = st.sampled_from(
    [
        *WORDS,
        *"{}[]:,-#&*!|>'\"%@`?~ \t\n",
        ": ",
        "- ",
        "\n  ",
        "<<: ",
        "&a ",
        "*a",
        "${env:X}",
        "30s",
        "0",
        "true",
        "null",
    ]
)
fixtures_are_rewritten = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixtures_are_rewritten
@given(st.binary(max_size=60) | st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_are_a_configuration_or_problems_with_a_file(write: Write, content: bytes) -> None:
    project = write(content)

    problems = validate(project, "prod")

    assert all(str(problem).startswith(("stacks/prod.yaml:", "llmctl.yaml:")) for problem in problems)
    assert problems or load(project, "prod").fingerprint


values = st.recursive(
    st.sampled_from([0, -1, 1.5, True, None, "", "a", "${env:X}", "30s", "1MiB", "*"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=8,
)


@fixtures_are_rewritten
@given(st.dictionaries(st.sampled_from(WORDS), values, max_size=5), st.randoms(use_true_random=False))
def test_any_mixture_of_known_keys_is_a_configuration_or_problems_on_a_line(
    write: Write, document: dict[str, object], order: random.Random
) -> None:
    lines = [f"{key}: {inline(value)}" for key, value in document.items()]
    order.shuffle(lines)
    project = write("\n".join(["x-first: 1", *lines]) + "\n")

    problems = validate(project, "prod")

    assert all(problem.line is not None for problem in problems)
    assert problems or load(project, "prod").fingerprint
