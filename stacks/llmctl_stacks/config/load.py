"""Files to a typed configuration, and where each of its values comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmctl_stacks.config.check import Checked, check
from llmctl_stacks.config.merge import merge
from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.nodes import Entries, KeyPath, Place, dotted
from llmctl_stacks.config.plain import leaves, plain
from llmctl_stacks.config.project import Project, shown
from llmctl_stacks.config.reader import read
from llmctl_stacks.errors import ConfigError, Problem, UsageError


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        file: as the user would type it; None for a default.
        line: 1-based; None for a default.
    """

    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        """`stacks/prod.yaml:14`, or `default`."""
        return "default" if self.file is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Loaded:
    """The configuration of one stack, references unresolved.

    Attributes:
        project: the files it comes from.
        stack: the name of the stack.
        config: typed and checked. A value that holds a reference stands as written (`${env:X}`), whatever
            the type of its key: hand `resolve(loaded).config` to anything that builds or starts something.
        origins: where each value comes from, by dotted key; list entries by index.
        fingerprint: `sha256:` of what the target consumes, defaults included, references as written.
    """

    project: Project
    stack: str
    config: StackConfig
    origins: Mapping[str, Origin]
    fingerprint: str
    tree: Entries = field(repr=False, compare=False)
    places: Mapping[KeyPath, Place] = field(repr=False, compare=False)

    def path(self, key: str, text: str) -> Path:
        """The file that `text`, the (resolved) value of `key`, names.

        Args:
            key: dotted, such as `models[0].source`.
            text: a path or a `file://` URL; a relative one is relative to the file that says so.
        """
        place = next((place for path, place in self.places.items() if dotted(path) == key), None)
        folder = place.path.parent if place else self.project.root
        return (folder / Path(text.removeprefix("file://")).expanduser()).resolve()


def load(project: Project, stack: str) -> Loaded:
    """Read, merge and check the files of a stack. Needs no environment, account or network.

    Raises:
        UsageError: when `stack` is no name of a stack.
        NotFoundError: when the stack has no file.
        ConfigError: with every problem in its files.
    """
    tree, checked, problems = _inspect(project, stack)
    if problems or tree is None or checked is None:
        raise ConfigError(problems, "edit the lines above; `llmctl config explain KEY` describes a key")
    config = checked.config
    return Loaded(project, stack, config, _origins(checked), fingerprint(config), tree=tree, places=checked.places)


def validate(project: Project, stack: str | None = None) -> tuple[Problem, ...]:
    """Every problem in the files of a stack, or of all stacks; empty when there is none.

    Raises:
        UsageError: when `stack` is no name of a stack.
        NotFoundError: when the stack has no file.
    """
    if stack is not None:
        return _inspect(project, stack)[2]
    problems: dict[Problem, None] = {}
    for path in sorted(project.stacks_dir.glob("*.yaml")):
        try:
            problems.update(dict.fromkeys(_inspect(project, path.stem)[2]))
        except UsageError as error:
            problems[Problem(shown(path), None, "", error.what, error.why)] = None
    for path in sorted(project.stacks_dir.glob("*.yml")):
        problems[Problem(shown(path), None, "", "is not read", f"rename it to {path.stem}.yaml")] = None
    if not problems and not project.stacks():
        problems[Problem(shown(project.stacks_dir), None, "", "has no stack files", "run `llmctl init`")] = None
    return tuple(problems)


def fingerprint(config: StackConfig) -> str:
    """Identify a configuration by what its target consumes."""
    canonical = json.dumps(plain(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _inspect(project: Project, stack: str) -> tuple[Entries | None, Checked | None, tuple[Problem, ...]]:
    """Read and check: the merged tree, what the check gave, and every problem."""
    files = [project.base_file, project.stack_file(stack)]
    trees = []
    problems: list[Problem] = []
    for file in files:
        tree, found = read(file, shown(file))
        problems += found
        trees.append(tree)
    readable = [tree for tree in trees if tree is not None]
    if not readable:
        return None, None, tuple(problems)
    merged = readable[0]
    for tree in readable[1:]:
        merged = Entries(merge(merged, tree).entries, merged.place)
    checked = check(merged, whole=len(readable) == len(files))
    return merged, checked, (*problems, *checked.problems)


def _origins(checked: Checked) -> Mapping[str, Origin]:
    """Where every value of a configuration comes from."""
    origins = {}
    for path, _ in leaves(plain(checked.config)):
        place = checked.places.get(path)
        origins[dotted(path)] = Origin(place.shown, place.line) if place else Origin()
    return origins
