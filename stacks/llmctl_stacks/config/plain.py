"""A typed configuration as plain data, the way it would be written in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmctl_stacks.config.catalogue import children
from llmctl_stacks.config.model import Section, StackConfig, Target
from llmctl_stacks.config.nodes import KeyPath
from llmctl_stacks.config.quantities import Duration, Size

Plain = Any
"""dict, list, str, int, float, bool or None."""


def plain(config: StackConfig) -> dict[str, Plain]:
    """What the target consumes, defaults included, references as written. Unset keys are left out."""
    return _section(config, config.target)


def leaves(value: Plain, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Plain]]:
    """Every single value, empty list and empty mapping below `value`, with its path."""
    if value and isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif value and isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def plain_value(value: object) -> Plain:
    """A default or an example as plain data, every key included."""
    if isinstance(value, Section):
        return _section(value, None)
    if isinstance(value, Mapping):
        return {name: plain_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, Duration | Size):
        return str(value)
    if isinstance(value, str):
        return str(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _section(section: Section, target: Target | None) -> dict[str, Plain]:
    """The keys of a section that have a value and that the target consumes."""
    data: dict[str, Plain] = {}
    for name, key in children(type(section)).items():
        value = getattr(section, key.field)
        if value is None or (target is not None and target not in key.targets):
            continue
        if key.kind == "section":
            data[name] = _section(value, target)
        elif key.kind == "sections":
            data[name] = [_section(item, target) for item in value]
        else:
            data[name] = plain_value(value)
    return data
