"""JSON Schema of one file, base or stack, for editors and other tools.

It says what a single file may hold: since the other file may hold the rest, no key of a section is
required; references and `null` are allowed where `load` allows them. What spans keys or files (rules,
targets, ranges of durations and sizes) only `llmctl config validate` knows.
"""

from __future__ import annotations

from typing import Any

from llmctl_stacks.config.catalogue import Key, children
from llmctl_stacks.config.merge import BY_NAME
from llmctl_stacks.config.model import TARGETS, Section, StackConfig
from llmctl_stacks.config.plain import plain_value

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_TEMPLATE = rf"^(?=[\s\S]*\$\{{)(?:\$\$\{{|\$\{{KIND:{_NAME}\}}|\$(?!\{{)|[^$])*$"
_REFERENCE = {"any": _TEMPLATE.replace("KIND", "env"), "secret": _TEMPLATE.replace("KIND", "(env|secret)")}
_LITERAL = {"not": {"pattern": r"\$\{"}}


def schema() -> dict[str, Any]:
    """The JSON Schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmctl configuration",
        "description": "llmctl.yaml, or stacks/<stack>.yaml which is merged over it",
        **_object(StackConfig, required=()),
    }


def _object(model: type[Section], required: tuple[str, ...]) -> dict[str, Any]:
    """A mapping with the keys of a section, and room for `x-*`."""
    properties = {name: _property(key) for name, key in children(model).items()}
    result: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }
    return {**result, "required": list(required)} if required else result


def _property(key: Key) -> dict[str, Any]:
    """One key with its text, default and example."""
    notes: dict[str, Any] = {"description": _description(key)}
    if key.kind in ("value", "map") and key.default is not None:
        notes["default"] = plain_value(key.default)
    if key.example is not None:
        notes["examples"] = [plain_value(key.example)]
    nothing: list[dict[str, Any]] = [] if key.required else [{"type": "null"}]
    return {**notes, "anyOf": [*_alternatives(key), *nothing]}


def _description(key: Key) -> str:
    """The description, with the targets when they are not all."""
    if key.targets == TARGETS:
        return key.description
    return f"{key.description} (target {', '.join(key.targets)} only)"


def _alternatives(key: Key) -> list[dict[str, Any]]:
    """What may be written, `null` aside."""
    if key.kind == "section" and key.model is not None:
        return [_object(key.model, required=())]
    if key.kind == "sections" and key.model is not None:
        needed = tuple(name for name, child in children(key.model).items() if child.required)
        by_name = (key.name,) in BY_NAME
        items = _object(key.model, required=("name",) if by_name else needed)
        return [{"type": "array", "items": items}]
    if key.kind == "map":
        texts = [*_with_references({"type": "string"}, key), {"type": "null"}]
        return [{"type": "object", "additionalProperties": {"anyOf": texts}}]
    return _with_references({name: rule for name, rule in key.json.items() if name != "x-type"}, key)


def _with_references(value: dict[str, Any], key: Key) -> list[dict[str, Any]]:
    """A value written out, or a well-formed reference where the key takes one."""
    if value.get("pattern", "").startswith(r"^\$"):
        return [value]
    literal = {**value, **_LITERAL} if value.get("type") == "string" and "enum" not in value else value
    if key.references == "none":
        return [literal]
    return [literal, {"type": "string", "pattern": _REFERENCE[key.references]}]
