"""YAML without the traps of YAML 1.1, and with the comforts of anchors."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmctl_stacks.config import load, validate
from llmctl_stacks.config.emit import emit, inline
from llmctl_stacks.config.nodes import dotted
from llmctl_stacks.config.reader import read
from llmctl_stacks.config.scalars import read_scalar

from .conftest import Write
from .test_merge import data


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "True", "FALSE", "010", "0x1F", "12:30", "2026-01-01", "1_", "=", "NULL"],
)
def test_what_yaml_1_1_would_turn_into_something_else_is_text(text: str) -> None:
    assert read_scalar(text) == text


PLAIN = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
    "0": 0,
    "-7": -7,
    "2_000_000": 2_000_000,
    "1.50": 1.5,
    ".5": 0.5,
    "1e3": 1000.0,
    "-.inf": float("-inf"),
}


@pytest.mark.parametrize(("text", "value"), PLAIN.items())
def test_plain_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    read = read_scalar(text)

    assert (read, type(read)) == (value, type(value))


keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
leaves = st.one_of(
    texts,
    st.integers(-(10**15), 10**15),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none(),
)
documents = st.dictionaries(
    keys,
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
    ),
    min_size=1,
    max_size=4,
)


@given(document=documents)
def test_what_is_emitted_reads_to_the_same_here_and_in_other_yaml_readers(
    document: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "document.yaml"
    path.write_text(emit(document), encoding="utf-8", newline="")

    tree, problems = read(path, path)

    assert problems == ()
    assert tree is not None
    assert (
        data(tree) == yaml.safe_load(emit(document)) == yaml.safe_load(f"x: {inline(document)}")["x"] == document
    )


def test_anchors_and_merge_keys_work_and_keep_the_line_of_what_they_bring(write: Write) -> None:
    project = write(
        "x-limits:\n  slow: &slow {rps: 5, burst: 9}\n  fast: &fast\n    rps: 50\n"
        "gateway:\n  x-note: mine\n  rate_limits:\n    - <<: [*slow, *fast]\n      burst: 7\n"
    )

    loaded = load(project, "prod")

    (limit,) = loaded.config.gateway.rate_limits
    assert (limit.rps, limit.burst) == (5, 7)
    assert str(loaded.origins["gateway.rate_limits[0].rps"]) == "stacks/prod.yaml:2"
    assert str(loaded.origins["gateway.rate_limits[0].burst"]) == "stacks/prod.yaml:9"


def test_x_keys_are_allowed_in_every_section_and_are_data_where_keys_are_free(write: Write) -> None:
    project = write("x-a: 1\ntags: {x-team: ml}\nmodels: [{name: m, x-b: [1]}]\nscaling: {x-c: {d: 1}}\n")

    assert dict(load(project, "prod").config.tags) == {"x-team": "ml"}


def test_a_byte_order_mark_and_windows_line_ends_are_read(write: Write) -> None:
    project = write("\ufefftarget: local\r\nscaling:\r\n  replicas: 0\r\n".encode())

    assert [problem.line for problem in validate(project, "prod")] == [3]


@given(st.lists(st.one_of(st.integers(0, 9), st.text(alphabet="ab._'\"[]-1", min_size=1)), min_size=1, max_size=4))
def test_two_paths_are_never_written_the_same(path: list[int | str]) -> None:
    other = [str(step) for step in path]

    assert (dotted(tuple(path)) == dotted(tuple(other))) == (path == other)
