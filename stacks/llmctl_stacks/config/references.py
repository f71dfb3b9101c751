"""References in string values: `${env:NAME}`, `${secret:NAME}`, and `$${` for a literal `${`.

The files name secrets and never hold them. A value that holds a reference stays as written (a
`Reference`) until `resolve`, so that validating, showing and fingerprinting a configuration need no
environment and can print no secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_INNER = re.compile(r"(env|secret):([A-Za-z_][A-Za-z0-9_]*)")

Kind = Literal["env", "secret"]


class Reference(str):
    """A value as written that holds at least one `${`; it stands where the resolved value will be."""

    __slots__ = ()


class Resolved(str):
    """A value in which every reference has been replaced; its text must never be printed."""

    __slots__ = ()


@dataclass(frozen=True)
class Name:
    """What one reference names: an environment variable, or a secret."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """As it is written in the files."""
        return f"${{{self.kind}:{self.name}}}"


def is_template(value: object) -> bool:
    """Whether `value` is a string with a reference or an escape in it."""
    return isinstance(value, str) and "${" in value


def names(template: str) -> tuple[Name, ...]:
    """Every reference in `template`, in order.

    Raises:
        ValueError: when `${` is followed by anything but `env:NAME}` or `secret:NAME}`.
    """
    found = []
    for match in _TOKEN.finditer(template):
        if match.group() == "$${":
            continue
        inner = _INNER.fullmatch(match[1])
        if inner is None or not match.group().endswith("}"):
            raise ValueError(
                "has a broken reference; write ${env:NAME} or ${secret:NAME}, or $${ for a literal ${"
            )
        kind: Kind = "env" if inner[1] == "env" else "secret"
        found.append(Name(kind, inner[2]))
    return tuple(found)


def substitute(template: str, value_of: Callable[[Name], str]) -> Resolved:
    """Replace the references of a well-formed template, and `$${` by `${`."""

    def replace(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        (name,) = names(match.group())
        return value_of(name)

    return Resolved(_TOKEN.sub(replace, template))
