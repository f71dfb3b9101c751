from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmctl_stacks.engine import state
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import DeployError
from llmctl_stacks.home import Home

SPEC = StackSpec("demo", "base", "local")
HIDDEN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
STACK = "urn:pulumi:local::demo-base::pulumi:pulumi:Stack::demo-base-local"
URN = "urn:pulumi:local::demo-base::llmctl:test:Thing::first"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def _write(home: Home, latest: Any, version: int = 3) -> None:
    path = state.checkpoint_path(home, SPEC)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": version, "checkpoint": {"stack": "x", "latest": latest}}))


def test_a_spec_names_its_pulumi_project() -> None:
    assert (SPEC.pulumi_project, str(SPEC)) == ("demo-base", "demo-base/local")


def test_a_stack_that_was_never_made_is_empty(home: Home) -> None:
    assert not state.exists(home, SPEC)
    assert state.read(home, SPEC) == state.Checkpoint()


def test_a_stack_without_an_update_is_empty(home: Home) -> None:
    _write(home, None)

    assert state.exists(home, SPEC)
    assert state.read(home, SPEC) == state.Checkpoint()


def test_resources_outputs_and_pending_steps_are_read_without_secrets(home: Home) -> None:
    thing = {"urn": URN, "type": "llmctl:test:Thing", "custom": True, "parent": STACK}
    recorded = {
        **thing,
        "id": "i-1",
        "inputs": {"password": HIDDEN, "size": 1},
        "outputs": {"env": {"TOKEN": HIDDEN}, "list": [HIDDEN, 2]},
        "delete": True,
    }
    _write(
        home,
        {
            "resources": [
                {"urn": STACK, "type": "pulumi:pulumi:Stack", "outputs": {"url": "http://x", "key": HIDDEN}},
                {"urn": "urn:p", "type": "pulumi:providers:llmctl", "custom": True},
                {"urn": URN + "g", "type": "llmctl:test:Group"},
                recorded,
            ],
            "pending_operations": [{"type": "creating", "resource": thing}],
        },
    )

    found = state.read(home, SPEC)

    assert found.outputs == {"url": "http://x", "key": "[secret]"}
    group, first = found.resources
    assert group.component
    assert first == state.Resource(
        URN,
        "llmctl:test:Thing",
        "first",
        "i-1",
        STACK,
        {"password": "[secret]", "size": 1},
        {"env": {"TOKEN": "[secret]"}, "list": ["[secret]", 2]},
        deleting=True,
    )
    assert [(item.kind, item.resource.name, item.resource.id) for item in found.pending] == [
        ("creating", "first", "")
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"version": 3}', '{"version": 3, "checkpoint": []}'])
def test_a_damaged_checkpoint_is_named_with_its_cure(home: Home, text: str) -> None:
    _write(home, {})
    path = state.checkpoint_path(home, SPEC)
    path.write_text(text)

    with pytest.raises(DeployError, match="cannot be read") as caught:
        state.read(home, SPEC)
    assert str(path) in caught.value.why
    assert f"{path}.bak" in caught.value.fix


def test_a_checkpoint_of_another_version_is_refused(home: Home) -> None:
    _write(home, {}, version=4)

    with pytest.raises(DeployError, match="its version is 4, not 3"):
        state.read(home, SPEC)
