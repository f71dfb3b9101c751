from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.codec import UNKNOWN
from llmctl_stacks.engine.recovery import mend
from llmctl_stacks.errors import DeployError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HIDDEN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


def _urn(name: str) -> str:
    return f"urn:pulumi:local::demo-base::llmctl:test:Thing::{name}"


def _resource(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {
        "urn": _urn(name),
        "type": "llmctl:test:Thing",
        "custom": True,
        "id": name,
        "dependencies": [_urn(need) for need in needs],
        **more,
    }


def _creating(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    resource = _resource(name, *needs, **more)
    del resource["id"]
    return {"type": "creating", "resource": resource}


def _nowhere(kind: str, inputs: Mapping[str, Any]) -> None:
    return None


def _names(deployment: Mapping[str, Any]) -> list[str]:
    return [resource["urn"].rsplit("::", 1)[-1] for resource in deployment["resources"]]


def test_what_is_there_is_adopted_with_its_inputs_and_ciphertext() -> None:
    asked: list[Any] = []

    def find(kind: str, inputs: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        asked.append((kind, inputs))
        return "i-7", {"address": "x", "token": "clear"}

    operation = _creating("b", "a", inputs={"password": HIDDEN, "size": 1}, provider="urn:p::1", parent="urn:g")

    mended = mend({"resources": [_resource("a")], "pending_operations": [operation], "manifest": {}}, find, NOW)

    assert asked == [("llmctl:test:Thing", {"password": UNKNOWN, "size": 1})]
    assert mended.deployment["pending_operations"] == []
    assert mended.deployment["manifest"] == {}
    assert mended.deployment["resources"][1] == {
        **operation["resource"],
        "id": "i-7",
        "outputs": {"password": HIDDEN, "size": 1},
        "created": "2026-01-02T00:00:00Z",
        "modified": "2026-01-02T00:00:00Z",
    }
    assert mended.actions == ("took over b, which an interrupted create had made",)


def test_what_is_not_there_is_forgotten() -> None:
    mended = mend({"resources": [], "pending_operations": [_creating("a")]}, _nowhere, NOW)

    assert mended.deployment["resources"] == []
    assert mended.actions == ("forgot the interrupted create of a: it is not there",)


@pytest.mark.parametrize(
    "more", [{"type": "pulumi:providers:llmctl"}, {"type": "llmctl:test:Group", "custom": False}]
)
def test_what_exists_in_the_state_only_is_never_looked_up(more: dict[str, Any]) -> None:
    def find(kind: str, inputs: Mapping[str, Any]) -> None:
        pytest.fail("it was")

    assert mend({"pending_operations": [_creating("x", **more)]}, find, NOW).deployment["resources"] == []


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading", "importing"])
def test_other_steps_are_forgotten_and_the_resource_stays(kind: str) -> None:
    before = {"resources": [_resource("a")], "pending_operations": [{"type": kind, "resource": _resource("a")}]}

    mended = mend(before, _nowhere, NOW)

    assert mended.deployment == {"resources": [_resource("a")], "pending_operations": []}
    assert mended.actions == (f"forgot an interrupted step ({kind} a) and read the resource again",)


def test_a_create_that_was_recorded_in_time_is_not_recorded_twice() -> None:
    before = {"resources": [_resource("a")], "pending_operations": [_creating("a")]}

    mended = mend(before, lambda kind, inputs: ("a", {}), NOW)

    assert mended.deployment["resources"] == [_resource("a")]
    assert mended.actions == ("forgot the interrupted create of a: it is recorded already",)


def test_a_replacement_takes_the_place_of_what_is_gone() -> None:
    gone = _resource("a", pendingReplacement=True)
    before = {"resources": [gone, _resource("b", "a")], "pending_operations": [_creating("a", kind="y")]}

    mended = mend(before, lambda kind, inputs: ("a", {}), NOW)

    assert _names(mended.deployment) == ["a", "b"]
    assert mended.deployment["resources"][0]["kind"] == "y"


def test_a_replacement_beside_the_old_one_leaves_that_to_be_deleted() -> None:
    before = {"resources": [_resource("a", id="old")], "pending_operations": [_creating("a")]}

    mended = mend(before, lambda kind, inputs: ("new", {}), NOW)

    found = {item["id"]: item.get("delete", False) for item in mended.deployment["resources"]}
    assert found == {"old": True, "new": False}


@pytest.mark.parametrize("error", [ResourceError("the disk is away"), KeyError("no handler")])
def test_what_cannot_be_told_is_not_guessed(error: Exception) -> None:
    def find(kind: str, inputs: Mapping[str, Any]) -> None:
        raise error

    with pytest.raises(DeployError, match="cannot tell whether a is there"):
        mend({"resources": [], "pending_operations": [_creating("a")]}, find, NOW)


@given(st.integers(2, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.data())))
def test_the_mended_order_puts_every_need_first(drawn: tuple[int, int, st.DataObject]) -> None:
    count, interrupted, data = drawn
    needs = [data.draw(st.sets(st.integers(0, index - 1))) if index else set() for index in range(count)]
    resources = [
        _resource(f"n{index}", *(f"n{need}" for need in sorted(needs[index])), provider=f"{_urn('n0')}::n0")
        for index in range(count)
    ]
    resources[interrupted]["pendingReplacement"] = True
    again = _creating(f"n{interrupted}", *(f"n{need}" for need in sorted(needs[interrupted])))

    mended = mend(
        {"resources": resources, "pending_operations": [again]}, lambda k, i: (f"n{interrupted}", {}), NOW
    )

    names = _names(mended.deployment)
    assert sorted(names) == sorted(f"n{index}" for index in range(count))
    for index in range(count):
        for need in needs[index]:
            assert names.index(f"n{need}") < names.index(f"n{index}")
