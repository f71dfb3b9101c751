"""Every key there is, read from the models: what the checks, the schema, `explain` and the docs share."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from llmctl_stacks.config.model import TARGETS, Section, StackConfig, Target
from llmctl_stacks.config.nodes import KeyPath

Kind = Literal["section", "sections", "map", "value"]


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes:
        name: as it is written in YAML.
        field: its attribute of the model.
        kind: a section, a list of sections, a mapping with free keys, or a single value.
        model: the section under it, when there is one.
        required: whether it has no default.
        default: the value when it is not written.
        description: what it does, with its unit.
        targets: the targets that consume it.
        example: a value to show, or None.
        references: which references its value may hold.
        json: JSON Schema of a value; empty for sections.
    """

    name: str
    field: str
    kind: Kind
    model: type[Section] | None
    required: bool
    default: Any
    description: str
    targets: tuple[Target, ...]
    example: Any
    references: Literal["any", "secret", "none"]
    json: Mapping[str, Any]

    @property
    def type_name(self) -> str:
        """The type in words."""
        if self.kind == "section":
            return "section"
        if self.kind == "sections":
            return "list"
        if self.kind == "map":
            return "mapping of names to text"
        return _type_name(self.json)

    @property
    def expected(self) -> str:
        """The type in a sentence: `a whole number …`, but `one of …`, `true or false`, `text`."""
        name = self.type_name
        return f"a {name}" if name.startswith(("whole", "number", "duration", "size")) else name


@cache
def children(model: type[Section]) -> Mapping[str, Key]:
    """The keys of a section, by the name in YAML."""
    definitions = model.model_json_schema(by_alias=True, schema_generator=_quiet_generator())
    properties = definitions["properties"]
    keys = (_key(field, info, properties) for field, info in model.model_fields.items())
    return {key.name: key for key in keys}


def walk(
    model: type[Section] = StackConfig, prefix: str = "", targets: tuple[Target, ...] = TARGETS
) -> Iterator[tuple[str, Key, tuple[Target, ...]]]:
    """Every key below `model` with its pattern, such as `gateway.rate_limits[].rps`, and who consumes it."""
    for key in children(model).values():
        pattern = f"{prefix}.{key.name}" if prefix else key.name
        consumers = tuple(target for target in targets if target in key.targets)
        yield pattern, key, consumers
        if key.model is not None:
            yield from walk(key.model, pattern + ("[]" if key.kind == "sections" else ""), consumers)


def find(path: KeyPath) -> Key | None:
    """The key at a path, list indexes given or left out; that of the mapping for a free key in it."""
    model: type[Section] | None = StackConfig
    key: Key | None = None
    for step in path:
        if isinstance(step, int):
            continue
        if key is not None and key.kind == "map":
            return key
        key = children(model).get(step) if model is not None else None
        if key is None:
            return None
        model = key.model
    return key


def _key(field: str, info: FieldInfo, properties: Mapping[str, Any]) -> Key:
    """The key that a field of a model declares."""
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    metadata: Any = extra["llmctl"]
    name = info.alias or field
    kind, model = _shape(info.annotation)
    return Key(
        name=name,
        field=field,
        kind=kind,
        model=model,
        required=info.is_required(),
        default=None if info.is_required() else info.default,
        description=info.description or "",
        targets=tuple(metadata["targets"]),
        example=metadata["example"],
        references=metadata["references"],
        json=_value_schema(properties[name]) if kind == "value" else {},
    )


def _shape(annotation: Any) -> tuple[Kind, type[Section] | None]:
    """What is written under a key of this type."""
    options = [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
    option = options[0]
    if isinstance(option, type) and issubclass(option, Section):
        return "section", option
    if get_origin(option) is tuple:
        return "sections", get_args(option)[0]
    return ("map", None) if get_origin(option) is not None and _is_mapping(option) else ("value", None)


def _is_mapping(annotation: Any) -> bool:
    """Whether the type is a mapping with free keys."""
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _value_schema(prop: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a written value: what pydantic says, without names, defaults and `null`."""
    dropped = ("title", "default", "description", "llmctl")
    schema = {name: value for name, value in prop.items() if name not in dropped}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return dict(options[0]) if len(options) == 1 else schema


def _type_name(json: Mapping[str, Any]) -> str:
    """A JSON Schema of a single value in words."""
    if "x-type" in json:
        return str(json["x-type"])
    if "enum" in json:
        return "one of " + ", ".join(str(value) for value in json["enum"])
    if "const" in json:
        return str(json["const"])
    names = {"boolean": "true or false", "string": "text", "integer": "whole number", "number": "number"}
    name = names[json["type"]]
    if "minimum" in json and "maximum" in json:
        return f"{name} from {json['minimum']} to {json['maximum']}"
    return f"{name} above {json['exclusiveMinimum']}" if "exclusiveMinimum" in json else name


def _quiet_generator() -> Any:
    """Pydantic's generator without its warnings about defaults, which are taken from the fields instead."""
    from pydantic.json_schema import GenerateJsonSchema

    class Quiet(GenerateJsonSchema):
        ignored_warning_kinds = {"non-serializable-default"}  # noqa: RUF012 - as declared by pydantic

    return Quiet
