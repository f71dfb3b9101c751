"""Property values between Python and the engine's wire format.

On the wire a property bag is a `google.protobuf.Struct`. Three kinds of value have no JSON form and travel
marked (pulumi/pulumi, `sdk/go/common/resource/plugin/rpc.go`): an *unknown* (a string), a *secret* and an
*output value* (objects with a signature key). Handlers see plain Python: `UNKNOWN` for a value that a
preview cannot know yet, and clear text for a secret, whose top-level property is remembered so that it can
be marked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from google.protobuf import struct_pb2

_UNKNOWN_WIRE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a public marker
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_EXACT_INTEGER: Final = 2**53  # beyond it a double, the wire's only number, loses digits


@final
class Unknown:
    """The type of `UNKNOWN`: a value that is known only after an update."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Properties:
    """A decoded property bag.

    Attributes:
        values: plain Python values; `UNKNOWN` where a preview cannot know.
        secrets: the top-level names whose value is, or holds, a secret.
        clear: every secret scalar as text, for redaction; never to be shown or stored.
    """

    values: dict[str, Any]
    secrets: frozenset[str] = frozenset()
    clear: frozenset[str] = field(default=frozenset(), repr=False)


def decode(struct: struct_pb2.Struct) -> Properties:
    """Python values of a wire property bag.

    Raises:
        ValueError: for an asset, an archive or a resource reference, which no resource of ours has.
    """
    values: dict[str, Any] = {}
    secrets: set[str] = set()
    clear: set[str] = set()
    for name, wire in struct.fields.items():
        found: list[Any] = []
        values[name] = _decode(wire, found)
        if found:
            secrets.add(name)
            clear.update(scalar for value in found for scalar in _scalars(value))
    return Properties(values, frozenset(secrets), frozenset(clear))


def encode(values: Mapping[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """Wire form of `values`, each top-level name of `secrets` marked as a secret.

    Raises:
        TypeError: for a value that JSON cannot hold.
        ValueError: for an integer that a double cannot hold, or a number that is not finite.
    """
    marked = frozenset(secrets)
    struct = struct_pb2.Struct()
    for name, value in values.items():
        wire = _encode(value)
        struct.fields[name].CopyFrom(_wrap(wire) if name in marked else wire)
    return struct


def has_unknown(value: Any) -> bool:
    """Whether `value` is, or holds at any depth, `UNKNOWN`."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def changed_paths(old: Any, new: Any, path: str = "") -> tuple[str, ...]:
    """Property paths at which two values differ, sorted, such as `model.digest` or `apiKeys[0].name`.

    An unknown new value counts as a difference. A list whose length changed is one path, the list's own.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return tuple(
            found
            for key in sorted({*old, *new})
            for found in changed_paths(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        )
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return tuple(
            found
            for index, (before, after) in enumerate(zip(old, new, strict=True))
            for found in changed_paths(before, after, f"{path}[{index}]")
        )
    same = old == new and isinstance(old, bool) == isinstance(new, bool) and new is not UNKNOWN
    return () if same else (path,)


def _decode(wire: struct_pb2.Value, secrets: list[Any]) -> Any:
    kind = wire.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_object(wire.struct_value, secrets)
    if kind == "list_value":
        return [_decode(item, secrets) for item in wire.list_value.values]
    if kind == "number_value":
        number = wire.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT_INTEGER else number
    if kind == "string_value":
        return UNKNOWN if wire.string_value == _UNKNOWN_WIRE else wire.string_value
    return wire.bool_value if kind == "bool_value" else None


def _decode_object(struct: struct_pb2.Struct, secrets: list[Any]) -> Any:
    if _SIGNATURE not in struct.fields:
        return {name: _decode(item, secrets) for name, item in struct.fields.items()}
    signature = struct.fields[_SIGNATURE].string_value
    if signature not in (_SECRET, _OUTPUT):
        raise ValueError(f"values of kind {signature!r} (asset, archive, resource) are not supported")
    value = _decode(struct.fields["value"], secrets) if "value" in struct.fields else UNKNOWN
    if signature == _SECRET or struct.fields["secret"].bool_value:
        secrets.append(value)
    return value


def _scalars(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    elif value is not None and value is not UNKNOWN and not isinstance(value, bool):
        yield str(value)


def _encode(value: Any) -> struct_pb2.Value:
    match value:
        case None:
            wire = struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Unknown():
            wire = struct_pb2.Value(string_value=_UNKNOWN_WIRE)
        case bool():
            wire = struct_pb2.Value(bool_value=value)
        case str():
            wire = struct_pb2.Value(string_value=value)
        case int() | float():
            wire = struct_pb2.Value(number_value=_double(value))
        case Mapping():
            wire = struct_pb2.Value(struct_value=encode(value))
        case list() | tuple():
            wire = struct_pb2.Value(list_value=struct_pb2.ListValue(values=map(_encode, value)))
        case _:
            raise TypeError(f"a property cannot hold a {type(value).__name__}")
    return wire


def _double(number: float) -> float:
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > _EXACT_INTEGER):
        raise ValueError(f"{number} does not fit into a double")
    return float(number)


def _wrap(wire: struct_pb2.Value) -> struct_pb2.Value:
    marked = struct_pb2.Struct()
    marked.fields[_SIGNATURE].string_value = _SECRET
    marked.fields["value"].CopyFrom(wire)
    return struct_pb2.Value(struct_value=marked)
