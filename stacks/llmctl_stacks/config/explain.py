"""`llmctl config explain KEY`: what one key does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llmctl_stacks.config.catalogue import children, walk
from llmctl_stacks.config.model import Target
from llmctl_stacks.config.plain import plain_value
from llmctl_stacks.config.suggest import did_you_mean
from llmctl_stacks.errors import UsageError


@dataclass(frozen=True)
class Explanation:
    """What there is to know about a key.

    Attributes:
        key: such as `gateway.rate_limits[].rps`.
        type: in words.
        required: whether it must be written where its section is.
        default: as plain data; None when it is required or unset by default.
        description: what it does, with its unit.
        targets: the targets that consume it; any other refuses it.
        example: as plain data, or None.
        references: `any`: may hold `${env:X}`; `secret`: also `${secret:X}`; `none`: neither.
        keys: the keys below it.
    """

    key: str
    type: str
    required: bool
    default: Any
    description: str
    targets: tuple[Target, ...]
    example: Any
    references: str
    keys: tuple[str, ...]


def explain(key: str) -> Explanation:
    """Describe a key, given as `gateway.rate_limits[0].rps`, with `[]`, or without the brackets.

    Raises:
        UsageError: when there is no such key; names the nearest.
    """
    known = {_bare(pattern): (pattern, entry, targets) for pattern, entry, targets in walk()}
    bare = _bare(key.strip())
    outer = bare.rpartition(".")[0]
    if bare not in known and outer in known and known[outer][1].kind == "map":
        bare = outer
    if bare not in known:
        last = {name.rpartition(".")[2]: name for name in known}
        hint = did_you_mean(bare, known) or did_you_mean(last.get(bare, ""), known)
        raise UsageError(f"no key {key!r}", "", hint or "`llmctl config schema` lists every key")
    pattern, entry, targets = known[bare]
    return Explanation(
        key=pattern,
        type=entry.type_name,
        required=entry.required,
        default=plain_value(entry.default),
        description=entry.description,
        targets=targets,
        example=plain_value(entry.example),
        references=entry.references,
        keys=tuple(children(entry.model)) if entry.model is not None else (),
    )


def _bare(key: str) -> str:
    """A key without list indexes."""
    return re.sub(r"\[[^\]]*\]", "", key)
