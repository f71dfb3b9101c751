"""Quantities with a unit, as people write them in YAML: `30s`, `14d`, `500ms`, `10MiB`, `1MB`.

A bare number is refused, since nobody can see whether `timeout: 30` means seconds. Both types print
back to a text that reads to the same value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_TERM = re.compile(r"([0-9]{1,15})([A-Za-z]+)")

DURATION_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
    "GB": 1000**3,
    "GiB": 1024**3,
    "TB": 1000**4,
    "TiB": 1024**4,
}


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time, in whole milliseconds."""

    milliseconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `500ms`, `30s`, `10m`, `12h`, `14d` or a sum with the largest unit first, such as `1h30m`.

        Raises:
            ValueError: when it is no such text; the message says what to write.
        """
        return cls(_parse(text, DURATION_UNITS, "a duration with its unit, such as 500ms, 30s, 10m or 14d"))

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.milliseconds / 1000

    @property
    def days(self) -> float:
        """The duration in days of 24 hours."""
        return self.milliseconds / DURATION_UNITS["d"]

    def __str__(self) -> str:
        """The whole number of the largest unit that divides it: `90s`, `1h`, `14d`."""
        return _format(self.milliseconds, DURATION_UNITS, zero="0s")


@dataclass(frozen=True, order=True)
class Size:
    """An amount of data, in whole bytes."""

    bytes: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10MiB` (1024 x 1024), `1MB` (1000 x 1000), `512KiB`, `64kB`, `100B`.

        Raises:
            ValueError: when it is no such text; the message says what to write.
        """
        return cls(_parse(text, SIZE_UNITS, "a size with its unit, such as 64KiB, 10MiB or 1GB"))

    def __str__(self) -> str:
        """The whole number of the largest unit that divides it: `10MiB`, `1MB`."""
        return _format(self.bytes, SIZE_UNITS, zero="0B")


def _parse(text: str, units: dict[str, int], expected: str) -> int:
    """Sum the terms of `text` in the smallest unit."""
    terms = _TERM.findall(text)
    if not terms or "".join(map("".join, terms)) != text:
        raise ValueError(f"must be {expected}")
    for _, unit in terms:
        if unit not in units:
            near = [known for known in units if known.lower() == unit.lower()]
            cure = f"write {near[0]}" if near else f"units are {', '.join(units)}"
            raise ValueError(f"has the unknown unit {unit}; {cure}")
    factors = [units[unit] for _, unit in terms]
    if factors != sorted(set(factors), reverse=True):
        raise ValueError("must name each unit once, the largest first")
    return sum(int(number) * factor for (number, _), factor in zip(terms, factors, strict=True))


def _format(amount: int, units: dict[str, int], zero: str) -> str:
    """Print `amount` in the largest unit that divides it."""
    if amount == 0:
        return zero
    unit, factor = max((item for item in units.items() if amount % item[1] == 0), key=lambda item: item[1])
    return f"{amount // factor}{unit}"
