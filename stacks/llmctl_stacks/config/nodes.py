"""A YAML document as a tree in which every value knows its file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmctl_stacks.config.scalars import Value

Step = str | int
KeyPath = tuple[Step, ...]

_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written.

    Attributes:
        path: the file, absolute.
        shown: the file as the user would type it.
        line: 1-based.
    """

    path: Path
    shown: Path
    line: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, and the characters it was read from."""

    value: Value
    text: str
    place: Place

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written, as in `key:`."""
        return self.value is None and not self.text


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping (its place) and the value under it."""

    place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping, in the order of the file."""

    entries: Mapping[str, Entry]
    place: Place


Node = Scalar | Items | Entries


def dotted(path: KeyPath) -> str:
    """`gateway.rate_limits[0].rps`; keys that hold anything but letters, digits, `_` and `-` are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _SIMPLE.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text
