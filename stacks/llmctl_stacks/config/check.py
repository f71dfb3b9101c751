"""A tree as a typed configuration, or every problem that it has.

Shape first, then types, then the rules between keys. Whatever is broken is replaced by its default or
example and the next step goes on, so that one run reports everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llmctl_stacks.config.catalogue import Key, find
from llmctl_stacks.config.messages import message_of
from llmctl_stacks.config.model import StackConfig
from llmctl_stacks.config.nodes import Entries, KeyPath, Place, Scalar, dotted
from llmctl_stacks.config.references import Resolved, is_template
from llmctl_stacks.config.rules import rules
from llmctl_stacks.config.shape import Shape, shape_of
from llmctl_stacks.errors import Problem


@dataclass(frozen=True)
class Checked:
    """What a check gives.

    Attributes:
        config: the typed configuration; where there are problems, defaults stand in.
        problems: what is wrong, in the order of files and lines.
        places: where each value is written.
        nodes: the single values as written.
        keys: the catalogue's entry of each path.
    """

    config: StackConfig
    problems: tuple[Problem, ...]
    places: dict[KeyPath, Place]
    nodes: dict[KeyPath, Scalar]
    keys: dict[KeyPath, Key]


def check(tree: Entries, *, whole: bool = True) -> Checked:
    """Check a merged tree.

    Args:
        tree: what the files say.
        whole: False when another file could not be read; then nothing is missing and no rule applies.
    """
    shape = shape_of(tree)
    config = _typed(shape, whole=whole)
    if whole:
        waiting = {_without_indexes(path) for path in shape.broken | _unresolved(shape)}
        if ("target",) not in waiting:
            _refuse_unconsumed(shape, config)
        _apply_rules(shape, config, waiting)
    problems = sorted(set(shape.problems), key=lambda p: (str(p.file), p.line or 0, p.key, p.message))
    return Checked(config, tuple(problems), shape.places, shape.nodes, shape.keys)


def _typed(shape: Shape, *, whole: bool) -> StackConfig:
    """The typed configuration; values that are wrong are noted and mended until it holds."""
    while True:
        try:
            return StackConfig.model_validate(shape.data)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                path = tuple(step for step in problem["loc"] if step != "[key]")
                key = find(path)
                assert key is not None
                # A value that was left out for what is wrong with it is not missing.
                if problem["type"] != "missing" or (whole and path not in shape.broken):
                    shape.problem(path, *message_of(problem, key, path, shape.nodes.get(path)))
                _mend(shape.data, path, key)


def _mend(data: dict[str, Any], path: KeyPath, key: Key) -> None:
    """Put the example in the place of a required value that is wrong; take any other out."""
    *outer, last = path
    holder: Any = data
    for step in outer:
        holder = holder[step]
    if key.required:
        holder[last] = key.example
    else:
        holder.pop(last, None)


def _unresolved(shape: Shape) -> set[KeyPath]:
    """Paths of values that are still references."""
    templates = {path: node.value for path, node in shape.nodes.items() if is_template(node.value)}
    return {path for path, value in templates.items() if not isinstance(value, Resolved)}


def _without_indexes(path: KeyPath) -> KeyPath:
    """The path as rules name it."""
    return tuple(step for step in path if isinstance(step, str))


def _refuse_unconsumed(shape: Shape, config: StackConfig) -> None:
    """Note every key that is written and that the target does not consume; of a section, the section."""
    refused: list[KeyPath] = []
    for path, key in shape.keys.items():
        if config.target in key.targets or any(path[: len(outer)] == outer for outer in refused):
            continue
        refused.append(path)
        # What is wrong inside does not matter any more.
        inside = (f"{dotted(path)}.", f"{dotted(path)}[")
        shape.problems = [problem for problem in shape.problems if not problem.key.startswith(inside)]
        consumers = " and ".join(f"`{target}`" for target in key.targets)
        message = f"the target `{config.target}` does not consume it, only {consumers}"
        shape.problem(path, message, "remove it here")


def _apply_rules(shape: Shape, config: StackConfig, waiting: set[KeyPath]) -> None:
    """Note what the rules find, those aside that read something broken or unresolved."""
    for rule in rules():
        if any(read[: len(path)] == path for read in rule.reads for path in waiting if path):
            continue
        for finding in rule.check(config):
            place = shape.places.get(finding.at) if finding.at else None
            shape.problem(finding.path, finding.message, finding.hint, place)
