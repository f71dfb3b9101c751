"""The JSON Schema says what the models say."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_stacks.config import schema
from llmctl_stacks.config.catalogue import Key, children, walk
from llmctl_stacks.config.check import check
from llmctl_stacks.config.model import Section, StackConfig
from llmctl_stacks.config.plain import plain_value

from .test_merge import tree

VALIDATOR = jsonschema.Draft202012Validator(schema())
ROWS = list(walk())


def accepted_by_the_models(document: Any) -> bool:
    """Whether one file with this content has no problem of its own."""
    return not check(tree(document), whole=False).problems


def accepted_by_the_schema(document: Any) -> bool:
    """Whether an editor would underline nothing."""
    return VALIDATOR.is_valid(document)


def valid_value(key: Key) -> st.SearchStrategy[Any]:
    """Values that a key takes."""
    json = key.json
    options: list[st.SearchStrategy[Any]] = []
    if key.default is not None:
        options.append(st.just(plain_value(key.default)))
    if key.example is not None:
        options.append(st.just(plain_value(key.example)))
    if "enum" in json:
        options.append(st.sampled_from(json["enum"]))
    if json.get("type") == "integer" and "minimum" in json:
        options.append(st.integers(json["minimum"], json["maximum"]))
    if json.get("type") == "boolean":
        options.append(st.booleans())
    if json.get("type") == "number":
        options.append(st.floats(0.001, json.get("maximum", 1000)).filter(lambda value: not value.is_integer()))
    if not key.required:
        options.append(st.none())
    if key.references == "any":
        options.append(st.sampled_from(["${env:X}", "a${env:X}b", "$${"]))
    return st.one_of(options)


def valid_section(model: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings of a section, with any of its keys and those that it needs."""
    needed, others = {}, {}
    for name, key in children(model).items():
        (needed if key.required and model is not StackConfig else others)[name] = valid(key)
    others["x-mine"] = st.just([1, {"a": None}])
    return st.fixed_dictionaries(needed, optional=others)


def valid(key: Key) -> st.SearchStrategy[Any]:
    """Anything that may stand under a key."""
    if key.kind == "map":
        return st.none() | st.dictionaries(
            st.sampled_from("AB"), st.sampled_from(["x", "${env:X}", ""]), max_size=2
        )
    if key.model is None:
        return valid_value(key)
    below = valid_section(key.model)
    return st.none() | (below if key.kind == "section" else st.lists(below, max_size=2))


DOCUMENTS = valid_section(StackConfig)
WRONG = st.sampled_from(
    [[], [1], {"a": {}}, True, False, -1, 2.5, 10**9, "", "nonsense!", "${env:", "${secret:X}", "\n"]
)


@given(DOCUMENTS)
def test_what_the_models_take_the_schema_takes(document: dict[str, Any]) -> None:
    assert accepted_by_the_models(document)
    assert accepted_by_the_schema(document)


@pytest.mark.parametrize(
    ("pattern", "key"), [(pattern, key) for pattern, key, _ in ROWS], ids=[row[0] for row in ROWS]
)
@given(wrong=WRONG)
def test_the_schema_and_the_models_agree_on_every_wrong_value(pattern: str, key: Key, wrong: Any) -> None:
    document = holding(pattern, wrong)

    models = accepted_by_the_models(document)
    if pattern == "gateway.api_keys[].value":
        # That it is a reference and nothing else is a rule, which the models leave to `load`.
        return
    if key.json.get("x-type", "").startswith(("duration", "size", "a private")) and accepted_by_the_schema(
        document
    ):
        # Ranges of quantities, and arithmetic, are beyond a pattern.
        return
    assert models == accepted_by_the_schema(document)


def holding(pattern: str, value: Any) -> Any:
    """A document that holds `value` at a key, and beside it what its lists need."""
    document: dict[str, Any] = {}
    here = document
    model: type[Section] = StackConfig
    *outer, last = pattern.split(".")
    for step in outer:
        key = children(model)[step.removesuffix("[]")]
        assert key.model is not None
        model = key.model
        inner: dict[str, Any] = {}
        if key.kind == "sections":
            inner = {name: child.example for name, child in children(model).items() if child.required}
        here[key.name] = [inner] if key.kind == "sections" else inner
        here = inner
    here[last] = value
    return document


@pytest.mark.parametrize("pattern", [row[0] for row in ROWS])
def test_an_unknown_key_beside_any_key_is_refused_by_both(pattern: str) -> None:
    outer = pattern.rpartition(".")[0]
    document = holding(f"{outer}.unheard_of" if outer else "unheard_of", 1)

    assert not accepted_by_the_models(document)
    assert not accepted_by_the_schema(document)


@pytest.mark.parametrize("pattern", [row[0] for row in ROWS if row[1].example is not None])
def test_every_example_is_a_value_that_its_key_takes(pattern: str) -> None:
    (example,) = (plain_value(key.example) for other, key, _ in ROWS if other == pattern)
    document = holding(pattern, example)

    assert accepted_by_the_models(document)
    assert accepted_by_the_schema(document)


def test_the_schema_is_one_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_described_with_a_type_and_consumed_by_some_target() -> None:
    for pattern, key, targets in ROWS:
        assert len(key.description) > 5, pattern
        assert key.description.endswith("."), pattern
        assert targets, pattern
        assert key.type_name, pattern
        assert not key.required or key.example is not None, pattern
