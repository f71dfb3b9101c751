from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from llmctl_infra.provider.codec import UNKNOWN, changed_paths, decode, encode, has_unknown

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(UNKNOWN)
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(st.dictionaries(st.text(), _VALUES))
def test_what_is_encoded_decodes_to_the_same(values: dict[str, Any]) -> None:
    decoded = decode(encode(values))

    assert decoded.values == values
    assert decoded.secrets == frozenset()


@given(st.dictionaries(st.text(min_size=1), _VALUES, min_size=1))
def test_marked_secrets_come_back_marked_and_in_clear(values: dict[str, Any]) -> None:
    decoded = decode(encode(values, secrets=values))

    assert decoded.values == values
    assert decoded.secrets == frozenset(values)


def test_the_markers_are_those_of_the_pulumi_sdk() -> None:
    wire = encode({"unknown": UNKNOWN, "secret": "s3cret"}, secrets=["secret"])

    assert wire["unknown"] == rpc.UNKNOWN
    assert wire["secret"][rpc._special_sig_key] == rpc._special_secret_sig
    assert rpc.is_rpc_secret(rpc.deserialize_property(wire["secret"], keep_unknowns=True))


def test_a_secret_deep_inside_marks_its_top_level_property() -> None:
    hidden = {rpc._special_sig_key: rpc._special_secret_sig, "value": "hush-hush"}
    wire = struct_pb2.Struct()
    wire.update({"environment": {"TOKEN": hidden, "MODE": "fast"}, "plain": 1})

    decoded = decode(wire)

    assert decoded.values == {"environment": {"TOKEN": "hush-hush", "MODE": "fast"}, "plain": 1}
    assert decoded.secrets == {"environment"}
    assert decoded.clear == {"hush-hush"}


def test_output_values_decode_to_their_value_or_to_unknown() -> None:
    wire = struct_pb2.Struct()
    wire.update(
        {
            "known": {rpc._special_sig_key: rpc._special_output_value_sig, "value": 7, "secret": True},
            "unknown": {rpc._special_sig_key: rpc._special_output_value_sig},
        }
    )

    decoded = decode(wire)

    assert decoded.values == {"known": 7, "unknown": UNKNOWN}
    assert decoded.secrets == {"known"}


def test_assets_are_refused() -> None:
    wire = struct_pb2.Struct()
    wire.update({"file": {rpc._special_sig_key: rpc._special_asset_sig, "path": "x"}})

    with pytest.raises(ValueError, match="not supported"):
        decode(wire)


def test_whole_numbers_decode_as_integers() -> None:
    values = decode(encode({"port": 8080, "rps": 0.5})).values

    assert (repr(values["port"]), repr(values["rps"])) == ("8080", "0.5")


@pytest.mark.parametrize("number", [2**53 + 1, float("nan"), float("inf")])
def test_numbers_that_the_wire_would_change_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode({"n": number})


def test_values_without_a_json_form_are_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        encode({"n": b"x"})


def test_unknowns_are_found_at_any_depth() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": None}], "c": ("x",)})


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, ()),
        ({"a": 1}, {"a": 1.0}, ()),
        ({"a": 1}, {"a": True}, ("a",)),
        ({"a": 1}, {"b": 1}, ("a", "b")),
        ({"a": None}, {}, ()),
        ({"m": {"d": "x", "n": 1}}, {"m": {"d": "y", "n": 1}}, ("m.d",)),
        ({"k": [{"n": 1}, {"n": 2}]}, {"k": [{"n": 1}, {"n": 3}]}, ("k[1].n",)),
        ({"k": [1]}, {"k": [1, 2]}, ("k",)),
        ({"m": {"d": "x"}}, {"m": UNKNOWN}, ("m",)),
        ({"m": UNKNOWN}, {"m": UNKNOWN}, ("m",)),
    ],
)
def test_changed_paths_name_what_differs(old: Any, new: Any, paths: tuple[str, ...]) -> None:
    assert changed_paths(old, new) == paths
