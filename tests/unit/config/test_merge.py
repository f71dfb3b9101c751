"""The stack's file over the base file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmctl_stacks.config import load
from llmctl_stacks.config.merge import merge
from llmctl_stacks.config.nodes import Entries, Entry, Items, Node, Place, Scalar

from .conftest import Write

PLACE = Place(Path("/x"), Path("x"), 1)


def tree(data: Any) -> Any:
    """Plain data as a tree."""
    if isinstance(data, dict):
        return Entries({name: Entry(PLACE, tree(value)) for name, value in data.items()}, PLACE)
    if isinstance(data, list):
        return Items(tuple(tree(item) for item in data), PLACE)
    return Scalar(data, str(data), PLACE)


def data(node: Node) -> Any:
    """A tree as plain data."""
    if isinstance(node, Entries):
        return {name: data(entry.node) for name, entry in node.entries.items()}
    return [data(item) for item in node.items] if isinstance(node, Items) else node.value


def merged(*layers: dict[str, Any]) -> Any:
    """Plain data merged from left to right."""
    first, *others = map(tree, layers)
    for other in others:
        first = merge(first, other)
    return data(first)


# Each key has one shape, as in real configurations: `a` a value, `l` a list, `m` a mapping, `models` by name.
values = st.integers(0, 3)
named = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("xyz")}, optional={"a": values, "b": values}),
    max_size=3,
    unique_by=lambda item: item["name"],
)
inner = st.fixed_dictionaries({}, optional={"a": values, "l": st.lists(values, max_size=2)})
layers = st.fixed_dictionaries(
    {}, optional={"a": values, "l": st.lists(values, max_size=2), "m": inner, "models": named, "nodes": named}
)


@given(layers, layers, layers)
def test_merging_is_associative_where_every_key_has_one_shape(
    one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]
) -> None:
    assert data(merge(tree(one), merge(tree(two), tree(three)))) == merged(one, two, three)


@given(layers)
def test_merging_nothing_changes_nothing(layer: dict[str, Any]) -> None:
    assert merged(layer, {}) == merged({}, layer) == merged(layer, layer) == layer


@given(layers, layers)
def test_the_second_file_has_the_last_word_on_every_value_it_writes(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    result = merged(base, over)

    for key in ("a", "l"):
        assert result.get(key) == over.get(key, base.get(key))
    for key in ("models", "nodes"):
        names = [item["name"] for item in result.get(key, [])]
        known = [item["name"] for item in base.get(key, [])]
        assert names == known + [item["name"] for item in over.get(key, []) if item["name"] not in known]


def test_entries_of_other_lists_are_replaced_even_when_they_have_names() -> None:
    base = {"gateway": {"api_keys": [{"name": "a"}], "models": [{"name": "a"}]}}
    over = {"gateway": {"api_keys": [{"name": "b"}], "models": [{"name": "b"}]}}

    assert merged(base, over) == over


def test_a_model_is_changed_by_its_name(write: Write) -> None:
    project = write(
        "models: [{name: attention, max_tokens: 10}]\n",
        base="name: demo\nmodels: [{name: attention, source: file://mine, max_tokens: 20}]\n",
    )

    (model,) = load(project, "prod").config.models

    assert (model.source, model.max_tokens) == ("file://mine", 10)


def test_null_takes_back_what_the_base_file_says(write: Write) -> None:
    base = "name: demo\nscaling: {replicas: 5}\ngateway: {timeout: 5s, max_body: 2MiB}\nnodes: [{name: cpu}]\n"
    project = write("scaling: null\ngateway: {timeout: ~}\nnodes: null\n", base)

    config = load(project, "prod").config

    assert config.scaling.replicas == 2
    assert (str(config.gateway.timeout), str(config.gateway.max_body)) == ("30s", "2MiB")


def test_a_section_with_every_line_commented_out_changes_nothing(write: Write) -> None:
    project = write("scaling:\n  # replicas: 3\ngateway:\n", base="name: demo\nscaling: {replicas: 5}\n")

    assert load(project, "prod").config.scaling.replicas == 5


def test_two_entries_of_one_name_in_one_file_are_not_merged_into_each_other(write: Write) -> None:
    from llmctl_stacks.config import validate

    project = write(
        "models:\n  - name: m\n    max_tokens: 1\n  - name: m\n", base="name: demo\nmodels: [{name: m}]\n"
    )

    assert [str(problem) for problem in validate(project, "prod")] == [
        "stacks/prod.yaml:4: models[1]: 'm' is a second model; one entry is served for now; "
        "to change it in a stack file, use its name `m`",
        "stacks/prod.yaml:4: models[1].name: 'm' is used before, in entry 0",
    ]
