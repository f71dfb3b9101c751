"""Types of values that plain Python does not have: each checks, prints and describes itself.

They go into `Annotated`, so that mypy sees `Duration`, `int` or `str` and pydantic sees the rule.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from llmctl_stacks.config.quantities import DURATION_UNITS, SIZE_UNITS, Duration, Size
from llmctl_stacks.config.references import Reference, Resolved, is_template


def refuse(message: str) -> PydanticCustomError:
    """The error for a validator to raise, with a message meant for the user as it stands."""
    return PydanticCustomError("llmctl", "{message}", {"message": message})


class _Rule(ABC):
    """A check that stands in for pydantic's own of the annotated type."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """Return the checked value, or raise `refuse(...)`."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """The same rule for editors; `x-type` is how the reference page names the type."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Use `read`, and print anything that JSON has no type for as text."""
        printed = core_schema.plain_serializer_function_ser_schema(
            lambda value: value if isinstance(value, str | int) else str(value)
        )
        return core_schema.no_info_plain_validator_function(self.read, serialization=printed)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Publish `json_schema`."""
        return self.json_schema()


@dataclass(frozen=True)
class DurationRange(_Rule):
    """A `Duration` from `low` to `high`, ends included."""

    low: str
    high: str
    whole_days: bool = False

    def read(self, value: Any) -> Duration:
        """Read the text of a duration, or keep one."""
        parsed = value if isinstance(value, Duration) else _parse(Duration, value)
        if not Duration.parse(self.low) <= parsed <= Duration.parse(self.high):
            raise refuse(f"must be from {self.low} to {self.high}")
        if self.whole_days and parsed.days % 1:
            raise refuse("must be a whole number of days, such as 14d")
        return parsed

    def json_schema(self) -> dict[str, Any]:
        """Text; the range is checked by llmctl alone."""
        units = "|".join(DURATION_UNITS)
        return {
            "type": "string",
            "pattern": f"^([0-9]+({units}))+$",
            "x-type": f"duration, {self.low} to {self.high}",
        }


@dataclass(frozen=True)
class SizeRange(_Rule):
    """A `Size` from `low` to `high`, ends included."""

    low: str
    high: str

    def read(self, value: Any) -> Size:
        """Read the text of a size, or keep one."""
        parsed = value if isinstance(value, Size) else _parse(Size, value)
        if not Size.parse(self.low) <= parsed <= Size.parse(self.high):
            raise refuse(f"must be from {self.low} to {self.high}")
        return parsed

    def json_schema(self) -> dict[str, Any]:
        """Text; the range is checked by llmctl alone."""
        units = "|".join(SIZE_UNITS)
        return {
            "type": "string",
            "pattern": f"^([0-9]+({units}))+$",
            "x-type": f"size, {self.low} to {self.high}",
        }


@dataclass(frozen=True)
class AutoOr(_Rule):
    """`auto`, or a whole number from `low` to `high`."""

    low: int
    high: int

    def read(self, value: Any) -> int | Literal["auto"]:
        """Refuse anything else, booleans included."""
        if value == "auto" and isinstance(value, str):
            return "auto"
        if type(value) is int and self.low <= value <= self.high:
            return value
        raise refuse(f"must be auto or a whole number from {self.low} to {self.high}")

    def json_schema(self) -> dict[str, Any]:
        """Either of the two."""
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {
            "anyOf": [{"const": "auto"}, number],
            "x-type": f"auto, or a whole number from {self.low} to {self.high}",
        }


class FormatVersion(_Rule):
    """The one version of the format there is; `Literal[1]` would take `true`."""

    def read(self, value: Any) -> int:
        """Refuse every other."""
        if type(value) is not int or value != 1:
            raise refuse("must be 1, the version of the format that this llmctl reads")
        return value

    def json_schema(self) -> dict[str, Any]:
        """The number."""
        return {"const": 1, "type": "integer"}


@dataclass(frozen=True)
class Text(_Rule):
    """Text that matches `pattern` as a whole; `what` says so in words. References pass until resolved."""

    what: str
    pattern: str = r"[\s\S]*"

    def read(self, value: Any) -> str:
        """Check text, resolved text, and leave a reference for later."""
        if not isinstance(value, str):
            raise refuse(f"must be {self.what}")
        if is_template(value) and not isinstance(value, Resolved):
            return Reference(value)
        if not re.fullmatch(self.pattern, value):
            raise refuse(f"must be {self.what}")
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        """The same pattern, anchored."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "x-type": self.what}


def _parse(kind: type[Duration] | type[Size], value: object) -> Any:
    """Read `value` as `kind`; anything but text gets the message for text that is none."""
    try:
        return kind.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        raise refuse(str(error)) from error


_Value = TypeVar("_Value")


class FrozenDict(Mapping[str, _Value]):
    """A mapping with free keys that nobody can change."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, _Value] = MappingProxyType({})) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> _Value:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"FrozenDict({self._items!r})"

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))


FrozenMap = Annotated[Mapping[str, _Value], AfterValidator(FrozenDict), PlainSerializer(dict)]

Name = Annotated[
    str,
    Text(
        "a name of 1 to 40 lower-case letters, digits and dashes, first a letter",
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
    ),
]
