"""Plain data as YAML that `reader` reads to the same data, without YAML's traps.

PyYAML's own emitter is not used: it quotes by YAML 1.1 (`'yes'` but not `012`) and cannot put a comment
behind a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from llmctl_stacks.config.nodes import KeyPath

# What other YAML readers take for a boolean, a null or a number is quoted too.
_AMBIGUOUS = re.compile(r"y|n|yes|no|on|off|true|false|null|[-+]?[0-9_:eExX+-]*\.?[0-9_:eExX+-]*", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_/$.][A-Za-z0-9_/$.{}:@+=-]*(?<!:)")

Comment = Callable[[KeyPath], str]


def emit(data: dict[str, Any], comment: Comment | None = None) -> str:
    """`data` as a YAML document.

    Args:
        data: dict, list, str, int, float, bool and None, nested.
        comment: what to write behind the value at a path.
    """
    lines = _mapping(data, (), comment or (lambda _: ""))
    width = max((len(text) for text, note in lines if note), default=0)
    return "".join(f"{text:<{width}}  # {note}\n" if note else f"{text}\n" for text, note in lines)


def scalar(value: object) -> str:
    """A single value, quoted only where it would be read as something else."""
    if isinstance(value, float):
        # YAML 1.1 takes 1e+16 for text, but not 1.0e+16.
        return re.sub(r"^(-?[0-9]+)e", r"\1.0e", repr(value))
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _PLAIN.fullmatch(value) and not _AMBIGUOUS.fullmatch(value) else _quoted(value)


def inline(value: object) -> str:
    """Any value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_in_flow(name)}: {_in_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_flow, value)) + "]"
    return scalar(value)


def _in_flow(value: object) -> str:
    """A value between commas and brackets, where braces must be quoted."""
    return _quoted(value) if isinstance(value, str) and re.search(r"[{}]", value) else inline(value)


def _quoted(text: str) -> str:
    """Text in double quotes; what is not printable is escaped, line breaks of any kind included."""
    escaped = (
        char if char.isprintable() else _escape(char) for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{"".join(escaped)}"'


def _escape(char: str) -> str:
    """YAML's escape of one character."""
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _mapping(data: dict[str, Any], path: KeyPath, comment: Comment) -> list[tuple[str, str]]:
    """Lines of a mapping, each with its comment."""
    lines = []
    for name, value in data.items():
        below = (*path, name)
        if isinstance(value, dict | list) and value:
            lines.append((f"{scalar(name)}:", ""))
            inner = _mapping(value, below, comment) if isinstance(value, dict) else _items(value, below, comment)
            lines += [(f"  {text}", note) for text, note in inner]
        else:
            lines.append((f"{scalar(name)}: {inline(value)}", comment(below)))
    return lines


def _items(data: list[Any], path: KeyPath, comment: Comment) -> list[tuple[str, str]]:
    """Lines of a list, each with its comment."""
    lines = []
    for index, value in enumerate(data):
        below = (*path, index)
        if isinstance(value, dict) and value:
            inner = _mapping(value, below, comment)
            lines += [(f"{'  ' if number else '- '}{text}", note) for number, (text, note) in enumerate(inner)]
        else:
            lines.append((f"- {inline(value)}", comment(below)))
    return lines
