"""A YAML file as a tree with places, or the problems that keep it from being one.

Built on PyYAML's composer, which knows lines; what plain scalars mean is decided in `scalars`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from llmctl_stacks.config.nodes import Entries, Entry, Items, KeyPath, Node, Place, Scalar, dotted
from llmctl_stacks.config.scalars import read_scalar
from llmctl_stacks.config.source import PLAIN, QUOTED, Refused, text_of, yaml_root
from llmctl_stacks.errors import Problem

MAX_EXPANDED = 1_000_000  # characters, with 10 for each value; aliases count as often as they are used

_YAML = "tag:yaml.org,2002:"
_TAGS = (PLAIN, QUOTED, f"{_YAML}map", f"{_YAML}seq")


def read(path: Path, shown: Path) -> tuple[Entries | None, tuple[Problem, ...]]:
    """Read the YAML mapping in `path`.

    Args:
        path: the file.
        shown: how messages name it.

    Returns:
        The tree, or None when it cannot be read at all; and every problem, with lines.
    """
    builder = _Builder(path, shown)
    try:
        tree = builder.build(yaml_root(text_of(path)), ())
    except Refused as refused:
        return None, (*builder.problems, Problem(shown, refused.line, dotted(refused.key), refused.message))
    assert isinstance(tree, Entries)
    return tree, tuple(builder.problems)


class _Builder:
    """Turns PyYAML's nodes into ours; collects what is wrong on the way."""

    def __init__(self, path: Path, shown: Path) -> None:
        self.path = path
        self.shown = shown
        self.problems: list[Problem] = []
        self.expanded = 0
        self.open: set[int] = set()

    def place(self, node: yaml.Node) -> Place:
        """Where `node` begins."""
        return Place(self.path, self.shown, node.start_mark.line + 1)

    def problem(self, node: yaml.Node, key: KeyPath, message: str) -> None:
        """Note what is wrong with `node`."""
        self.problems.append(Problem(self.shown, node.start_mark.line + 1, dotted(key), message))

    def build(self, node: yaml.Node, key: KeyPath) -> Node:
        """Our node for PyYAML's.

        Raises:
            Refused: when an alias leads back into itself, aliases expand without bound, or a tag is written.
        """
        line = node.start_mark.line + 1
        if node.tag not in _TAGS:
            tag = str(node.tag).replace(_YAML, "!!")
            raise Refused(line, f"has the tag {tag}, which is not supported", key)
        if id(node) in self.open:
            raise Refused(line, "an alias refers to the value that holds it", key)
        self.expanded += 10 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self.expanded > MAX_EXPANDED:
            raise Refused(line, f"aliases expand to more than {MAX_EXPANDED:,} characters", key)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, key)
            return self.sequence(node, key)
        finally:
            self.open.discard(id(node))

    def scalar(self, node: yaml.ScalarNode) -> Scalar:
        """A single value."""
        value = read_scalar(node.value) if node.tag == PLAIN else node.value
        return Scalar(value, node.value, self.place(node))

    def sequence(self, node: yaml.Node, key: KeyPath) -> Items:
        """A list."""
        items = (self.build(item, (*key, index)) for index, item in enumerate(node.value))
        return Items(tuple(items), self.place(node))

    def mapping(self, node: yaml.MappingNode, key: KeyPath) -> Entries:
        """A mapping: duplicate keys are problems, `<<` brings in keys that are not written here."""
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for name_node, value_node in node.value:
            name = self.name(name_node, key)
            if name is None:
                continue
            path = (*key, name)
            if name == "<<" and name_node.tag == PLAIN:
                for source in self.merge_sources(value_node, key):
                    merged = {**source.entries, **merged}
            elif name in own:
                first = own[name].place.line
                self.problem(name_node, path, f"duplicate key, also on line {first}; remove one of the two")
            else:
                own[name] = Entry(self.place(name_node), self.build(value_node, path))
        return Entries({**merged, **own}, self.place(node))

    def name(self, node: yaml.Node, key: KeyPath) -> str | None:
        """The key that `node` is, or None with a problem noted."""
        if isinstance(node, yaml.ScalarNode) and node.tag in (PLAIN, QUOTED):
            if node.tag == QUOTED or isinstance(read_scalar(node.value), str):
                return str(node.value)
            self.problem(node, key, f"the key {node.value or 'of nothing'} must be text; put it in quotes")
        else:
            self.problem(node, key, "a key must be text")
        return None

    def merge_sources(self, node: yaml.Node, key: KeyPath) -> Iterator[Entries]:
        """The mappings that `<<` names."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            built = self.build(source, key)
            if isinstance(built, Entries):
                yield built
            else:
                self.problem(source, key, "`<<` takes a mapping, such as *defaults")
