"""A YAML file as a tree with places, or the problems that keep it from being one.

Built on PyYAML's composer, which knows lines; what plain scalars mean is decided in `scalars`. Files are
bounded in size, depth and alias expansion before anything walks them, so that no file can exhaust memory.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from llmctl_stacks.config.nodes import Entries, Entry, Items, KeyPath, Node, Place, Scalar, dotted
from llmctl_stacks.config.scalars import read_scalar
from llmctl_stacks.errors import Problem

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_EXPANDED = 1_000_000  # characters, with 10 for each value; aliases count as often as they are used

_PLAIN, _QUOTED = "plain", "quoted"
_YAML = "tag:yaml.org,2002:"


class _Refused(Exception):
    """A problem after which the rest of the file cannot be read."""

    def __init__(self, line: int | None, message: str, key: KeyPath = ()) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.key = key


class _Composer(yaml.SafeLoader):
    """PyYAML's composer, bounded in depth, that says of a scalar only whether it is quoted."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node.

        Raises:
            MarkedYAMLError: when it is nested too deep.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node that has none written."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def read(path: Path, shown: Path) -> tuple[Entries | None, tuple[Problem, ...]]:
    """Read the YAML mapping in `path`.

    Args:
        path: the file.
        shown: how messages name it.

    Returns:
        The tree, or None when it cannot be read at all; and every problem, with lines.
    """
    try:
        root = yaml_root(text_of(path))
        builder = _Builder(path, shown)
        tree = builder.mapping(root)
    except _Refused as refused:
        return None, (Problem(shown, refused.line, dotted(refused.key), refused.message),)
    return tree, tuple(builder.problems)


def text_of(path: Path) -> str:
    """The text of a file of bounded size.

    Raises:
        _Refused: when it is missing, no file, too large, or not UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise _Refused(None, f"is {kind}; a YAML file is expected")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _Refused(None, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise _Refused(None, f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Refused(line, "is not UTF-8 text") from error


def yaml_root(text: str) -> yaml.MappingNode:
    """Compose the one document in `text`.

    Raises:
        _Refused: when it is not YAML, empty, or no mapping.
    """
    try:
        root = yaml.compose(text, Loader=_Composer)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{int(error.character):04X}"
        raise _Refused(line, f"holds the character {character}, which YAML does not allow") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Refused(mark.line + 1 if mark else None, _explain(error)) from error
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise _Refused(None, "is empty; a mapping of keys is expected")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise _Refused(root.start_mark.line + 1, f"holds {kind}; a mapping of keys is expected")
    return root


def _explain(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's message on one line, in the words of the user where it has none."""
    problem = error.problem or "not valid YAML"
    if "'\\t'" in problem:
        return "holds a tab; YAML is indented with spaces"
    if problem.startswith("found undefined alias"):
        return f"uses the alias *{problem.split()[-1].strip(chr(39))}, but no anchor of that name is above it"
    if "single document" in (error.context or ""):
        return "holds a second document (`---`); one is expected"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML: {problem}{context}".replace("\n", " ")


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
            _Refused: when an alias leads back into itself, or aliases expand without bound.
        """
        line = node.start_mark.line + 1
        if id(node) in self.open:
            raise _Refused(line, "an alias refers to the value that holds it", key)
        self.expanded += 10 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self.expanded > MAX_EXPANDED:
            raise _Refused(line, f"aliases expand to more than {MAX_EXPANDED:,} characters", key)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, key)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, key)
            return self.sequence(node, key)
        finally:
            self.open.discard(id(node))

    def scalar(self, node: yaml.ScalarNode, key: KeyPath) -> Scalar:
        """A single value."""
        if node.tag not in (_PLAIN, _QUOTED, f"{_YAML}str"):
            self.problem(node, key, f"has the tag {_tag(node)}, which is not supported")
        value = read_scalar(node.value) if node.tag == _PLAIN else node.value
        return Scalar(value, node.value, self.place(node))

    def sequence(self, node: yaml.Node, key: KeyPath) -> Items:
        """A list."""
        if node.tag != f"{_YAML}seq":
            self.problem(node, key, f"has the tag {_tag(node)}, which is not supported")
        items = (self.build(item, (*key, index)) for index, item in enumerate(node.value))
        return Items(tuple(items), self.place(node))

    def mapping(self, node: yaml.MappingNode, key: KeyPath = ()) -> Entries:
        """A mapping: duplicate keys are problems, `<<` brings in keys that are not written here."""
        if node.tag != f"{_YAML}map":
            self.problem(node, key, f"has the tag {_tag(node)}, which is not supported")
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for name_node, value_node in node.value:
            name = self.name(name_node, key)
            if name is None:
                continue
            path = (*key, name)
            if name == "<<" and name_node.tag == _PLAIN:
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
        if isinstance(node, yaml.ScalarNode) and node.tag in (_PLAIN, _QUOTED):
            if node.tag == _QUOTED or isinstance(read_scalar(node.value), str):
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


def _tag(node: yaml.Node) -> str:
    """The tag as it is written."""
    return str(node.tag).replace(_YAML, "!!")
