"""First half of a check: does the tree have the shape of a configuration?

Walks tree and catalogue side by side. What does not fit becomes a problem and is left out, so that the
second half (`check`) sees only values at places where values belong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmctl_stacks.config.catalogue import Key, children, walk
from llmctl_stacks.config.model import Section, StackConfig
from llmctl_stacks.config.nodes import Entries, Entry, Items, KeyPath, Node, Place, Scalar, dotted
from llmctl_stacks.config.references import Resolved, is_template, names
from llmctl_stacks.config.suggest import did_you_mean
from llmctl_stacks.errors import Problem

_LEFT_OUT: Any = object()
_MOST_HINTS = 100


@dataclass
class Shape:
    """What a tree holds, in the shape of the models.

    Attributes:
        data: plain values for pydantic; lists are tuples.
        places: where each value is written; of lists and sections, where their key is.
        broken: paths that have a problem.
        nodes: the single values as written.
        keys: the catalogue's entry of each path, sections included, outer before inner.
        problems: what did not fit.
    """

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    broken: set[KeyPath] = field(default_factory=set)
    nodes: dict[KeyPath, Scalar] = field(default_factory=dict)
    keys: dict[KeyPath, Key] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: KeyPath, message: str, hint: str = "", place: Place | None = None) -> None:
        """Note a problem at `path`, or at the nearest place above it that is written."""
        self.broken.add(path)
        written = next(path[:length] for length in range(len(path), -1, -1) if path[:length] in self.places)
        place = place or self.places[written]
        line = place.line if written or place is not self.places[()] else None
        self.problems.append(Problem(place.shown, line, dotted(path), message, hint))


def shape_of(tree: Entries) -> Shape:
    """Compare `tree` with the catalogue."""
    shape = Shape()
    shape.places[()] = tree.place
    shape.data = _section(shape, tree, StackConfig, ())
    return shape


def _section(shape: Shape, tree: Entries, model: type[Section], path: KeyPath) -> dict[str, Any]:
    """The known keys of a mapping."""
    known = children(model)
    data = {}
    for name, entry in tree.entries.items():
        if name.startswith("x-"):
            continue
        below = (*path, name)
        if name not in known:
            # Looking for near names takes time that a file of nothing but unknown keys could use up.
            few = len(shape.problems) < _MOST_HINTS
            shape.problem(below, "unknown key", _near(name, known) if few else "", entry.place)
            continue
        value = _value(shape, entry, known[name], below)
        if value is not _LEFT_OUT:
            data[name] = value
    return data


def _near(name: str, known: Mapping[str, Key]) -> str:
    """The hint for an unknown key: one nearly like it, or where the key belongs."""
    if hint := did_you_mean(name, known):
        return hint
    patterns = [pattern for pattern, key, _ in walk() if key.name == name]
    return f"`{name}` belongs in `{patterns[0]}`" if len(patterns) == 1 else ""


def _value(shape: Shape, entry: Entry, key: Key, path: KeyPath) -> Any:
    """What is written under a key, or `_LEFT_OUT`."""
    node = entry.node
    # People look for a list or section where its key is, for a value where the value is.
    shape.places[path] = node.place if isinstance(node, Scalar) and node.text else entry.place
    if isinstance(node, Scalar) and node.value is None:
        if node.is_empty and key.kind not in ("section", "map"):
            cure = "write [] for an empty list, " if key.kind == "sections" else ""
            shape.problem(path, "has no value", f"{cure}remove the line, or write null for the default")
        return _LEFT_OUT
    shape.keys[path] = key
    if key.kind == "section" and isinstance(node, Entries):
        assert key.model is not None
        return _section(shape, node, key.model, path)
    if key.kind == "sections" and isinstance(node, Items):
        assert key.model is not None
        return _sections(shape, node, key.model, path)
    if key.kind == "map" and isinstance(node, Entries):
        return _map(shape, node, key, path)
    if key.kind == "value" and isinstance(node, Scalar):
        return _scalar(shape, node, key, path)
    shape.problem(path, f"must be {_EXPECTED.get(key.kind) or key.expected}, not {_kind(node)}")
    return _LEFT_OUT


_EXPECTED = {
    "section": "a mapping of keys",
    "map": "a mapping of names to text",
    "sections": "a list, each entry on its own line after `- `",
}


def _kind(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, Items):
        return "a list"
    return "a mapping" if isinstance(node, Entries) else "a single value"


def _sections(shape: Shape, node: Items, model: type[Section], path: KeyPath) -> tuple[Any, ...]:
    """The entries of a list; one of the wrong shape becomes an empty one, so that the others keep their index."""
    entries = []
    for index, item in enumerate(node.items):
        below = (*path, index)
        shape.places[below] = item.place
        if isinstance(item, Entries):
            entries.append(_section(shape, item, model, below))
        else:
            shape.problem(below, f"must be a mapping of keys, not {_kind(item)}")
            entries.append({key.name: key.example for key in children(model).values() if key.required})
    return tuple(entries)


def _map(shape: Shape, node: Entries, key: Key, path: KeyPath) -> dict[str, Any]:
    """A mapping with free keys."""
    data = {}
    for name, entry in node.entries.items():
        below = (*path, name)
        shape.places[below] = entry.place
        shape.keys[below] = key
        if not isinstance(entry.node, Scalar):
            shape.problem(below, f"must be text, not {_kind(entry.node)}")
        elif entry.node.value is None and entry.node.is_empty:
            shape.problem(below, "has no value", 'write "" for an empty text, or remove the line')
        elif entry.node.value is not None:
            value = _scalar(shape, entry.node, key, below)
            if value is not _LEFT_OUT:
                data[name] = value
    return data


def _scalar(shape: Shape, node: Scalar, key: Key, path: KeyPath) -> Any:
    """A single value, whose references must be well-formed and allowed here."""
    shape.nodes[path] = node
    if isinstance(node.value, Resolved) or not is_template(node.value):
        return node.value
    try:
        found = names(node.text)
    except ValueError as error:
        shape.problem(path, str(error))
        return _LEFT_OUT
    if key.references == "none":
        shape.problem(path, "must be written out: references are not allowed here")
        return _LEFT_OUT
    if key.references == "any" and any(name.kind == "secret" for name in found):
        places = " and ".join(f"`{pattern}`" for pattern, known, _ in walk() if known.references == "secret")
        shape.problem(path, f"takes no secret: ${{secret:X}} is for {places}")
        return _LEFT_OUT
    return node.value
