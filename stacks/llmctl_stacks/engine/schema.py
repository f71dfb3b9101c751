"""The JSON Schema of events, from the dataclass itself: `python -m llmctl_stacks.engine.schema FILE`."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from llmctl_stacks.engine.events import VERSION, Event

_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*?)(?=\n {8}\w+: |\Z)", re.MULTILINE | re.DOTALL)


def event_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `Event.to_json()`."""
    hints = get_type_hints(Event)
    about = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(Event.__doc__ or "")}
    properties = {
        field.name: {**_schema(hints[field.name]), "description": about[field.name]}
        for field in dataclasses.fields(Event)
    }
    version = {"const": VERSION, "description": "Raised when a field is renamed, removed or changes its meaning."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Event of a running llmctl operation",
        "description": "Empty fields are left out. Readers must ignore fields and kinds that they do not know.",
        "type": "object",
        "required": ["version", "kind", "time"],
        "properties": {"version": version, **properties},
    }


def _schema(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": [value for value in arguments if value != ""]}
    if origin in (Union, types.UnionType):
        return _schema(next(option for option in arguments if option is not type(None)))
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    return {"type": _PLAIN[hint]}


def text() -> str:
    """The schema as it is published."""
    return json.dumps(event_schema(), indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())
