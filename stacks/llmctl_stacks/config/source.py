"""The text of a YAML file and PyYAML's nodes for it, bounded before anything walks them.

Size and depth are limited here and alias expansion in `reader`, so that no file can exhaust memory or stack.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import yaml

from llmctl_stacks.config.nodes import KeyPath

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 32

PLAIN, QUOTED = "plain", "quoted"


class Refused(Exception):
    """Raised for a problem after which the rest of the file cannot be read."""

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
            return PLAIN if implicit[0] else QUOTED
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def text_of(path: Path) -> str:
    """The text of a file of bounded size.

    Raises:
        Refused: when it is missing, no file, too large, or not UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise Refused(None, f"is {kind}; a YAML file is expected")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Refused(None, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise Refused(None, f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(line, "is not UTF-8 text") from error


def yaml_root(text: str) -> yaml.MappingNode:
    """Compose the one document in `text`.

    Raises:
        Refused: when it is not YAML, empty, or no mapping.
    """
    try:
        root = yaml.compose(text, Loader=_Composer)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{int(error.character):04X}"
        raise Refused(line, f"holds the character {character}, which YAML does not allow") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Refused(mark.line + 1 if mark else None, _explain(error)) from error
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise Refused(None, "is empty; a mapping of keys is expected")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise Refused(root.start_mark.line + 1, f"holds {kind}; a mapping of keys is expected")
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
