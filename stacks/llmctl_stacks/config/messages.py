"""pydantic's errors in the words of this project: what the value must be, what it is, and a cure.

A value that came out of a reference is never repeated, since it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmctl_stacks.config.catalogue import Key
from llmctl_stacks.config.nodes import KeyPath, Scalar
from llmctl_stacks.config.references import Resolved
from llmctl_stacks.config.suggest import did_you_mean

_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def message_of(error: Mapping[str, Any], key: Key, path: KeyPath, node: Scalar | None) -> tuple[str, str]:
    """The message and the hint for one error of pydantic.

    Args:
        error: `type` and `ctx` as pydantic gives them.
        key: the catalogue's entry of the key.
        path: where it is.
        node: the value as written, or None when none is.
    """
    if error["type"] == "missing":
        return "is required", f"add `{path[-1]}: {key.example}`"
    message = _message(error["type"], error.get("ctx", {}), key)
    if node is None:
        return message, ""
    if isinstance(node.value, Resolved):
        return message, f"the value comes from {node.text}"
    if error["type"] not in _NAMING_VALUE:
        return message, _hint(key, node)
    if error["type"] == "literal_error":
        return f"{message}, but is {_as_written(node)}", _hint(key, node)
    return f"{message}, not {_as_written(node)}", _hint(key, node)


_NAMING_VALUE = ("int_type", "int_from_float", "float_type", "bool_type", "literal_error", "finite_number")


def _message(kind: str, context: Mapping[str, Any], key: Key) -> str:
    """What the value must be."""
    match kind:
        case "greater_than":
            return f"must be > {context['gt']:g}"
        case "greater_than_equal" | "less_than_equal":
            return f"must be {key.expected}"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "llmctl":
            return str(context["message"])
        case "finite_number":
            return "must be a finite number"
        case _:
            return f"must be {key.expected}"


def _as_written(node: Scalar) -> str:
    """The value in a message, short and with its kind where that is the point."""
    text = node.text if node.text.isprintable() else ascii(node.text)[1:-1]
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f'the text "{text}"' if isinstance(node.value, str) else text


def _hint(key: Key, node: Scalar) -> str:
    """A cure for a value that is nearly right."""
    if key.kind == "map" or key.json.get("type") == "string":
        pattern = key.json.get("pattern", "")
        if not isinstance(node.value, str) and re.search(pattern, node.text):
            return f'put it in quotes: "{node.text}"'
    if key.json.get("type") == "boolean" and (cure := _BOOLEANS.get(node.text.lower())):
        return f"write {cure}"
    if "enum" in key.json:
        return did_you_mean(node.text, map(str, key.json["enum"]))
    return ""
