"""JSON Schema of every document that llmctl writes, from the dataclasses themselves."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from llmctl import envelope, kinds
from llmctl_stacks import results

_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_ATTRIBUTE = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)


def documents() -> tuple[type, ...]:
    """The dataclass of every kind of document, by name."""
    from llmctl_stacks.config.explain import Explanation

    own = [kinds.Configuration, kinds.Error, kinds.Event, kinds.Logs, kinds.Outputs, kinds.Project]
    own += [kinds.Validation, kinds.Version, Explanation]
    found = [results.Answer, results.Diagnosis, results.Drift, results.LockStatus, results.LogLine]
    found += [results.Preview, results.Recovery, results.Status, results.Teardown, results.Update]
    return tuple(sorted([*own, *found], key=lambda kind: kind.__name__))


def schema() -> dict[str, Any]:
    """One schema (2020-12): a document is one of the kinds, each a definition of its own."""
    from llmctl_stacks.engine.schema import event_schema

    parts: dict[str, Any] = {}
    for kind in documents():
        parts[f"{kind.__name__}Document"] = _document(kind)
    for kind in documents():
        _collect(kind, parts)
    parts["EventDocument"]["properties"]["event"] = {"$ref": "#/$defs/OperationEvent"}
    parts["OperationEvent"] = {key: value for key, value in event_schema().items() if key != "$schema"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What llmctl writes with `--output json` or `ndjson`",
        "description": "Readers must ignore fields that they do not know.",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}Document"} for kind in documents()],
        "$defs": dict(sorted(parts.items())),
    }


def _document(kind: type) -> dict[str, Any]:
    """The definition of a result with its envelope."""
    body = _object(kind)
    head = {"schema": {"const": envelope.SCHEMA}, "kind": {"const": kind.__name__}}
    return {
        **body,
        "properties": {**head, **body["properties"]},
        "required": [*head, *body["required"]],
    }


def _object(kind: type) -> dict[str, Any]:
    """The definition of a dataclass: every field is always written."""
    summary, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:\n")
    about = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(rest)}
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    described = {name: {"description": about[name]} if name in about else {} for name in names}
    return {
        "description": " ".join(summary.split()),
        "type": "object",
        "properties": {name: {**described[name], **_value(hints[name])} for name in names},
        "required": names,
    }


def _value(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    found: dict[str, Any] = {}
    if origin is Literal:
        found["enum"] = list(arguments)
    elif origin in (Union, types.UnionType):
        found["anyOf"] = [_value(option) for option in arguments]
    elif origin is tuple:
        found |= {"type": "array", "items": _value(arguments[0])}
    elif origin in (dict, Mapping):
        found |= {"type": "object", "additionalProperties": _value(arguments[1])}
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        found["$ref"] = f"#/$defs/{hint.__name__}"
    elif hint not in (Any, object):
        found["type"] = _PLAIN[hint]
    return found


def _collect(kind: type, parts: dict[str, Any]) -> None:
    """Add a definition for each dataclass that `kind` holds, at any depth."""
    for hint in get_type_hints(kind).values():
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and dataclasses.is_dataclass(part) and part.__name__ not in parts:
                parts[part.__name__] = _object(part)
                _collect(part, parts)
