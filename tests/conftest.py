"""Isolation for every test: nothing of the user's home or environment is read, nothing there is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmctl_stacks.home import Home

_KEPT = {"LLMCTL_PULUMI"}
_DROPPED = ("AWS_", "PULUMI_", "LLMCTL_", "XDG_")
_ENGINE_GROUPS = ("engine", "platform")


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A home of the test's own; only tests that drive the engine see which CLI the machine has."""
    drives = any(request.node.get_closest_marker(group) for group in _ENGINE_GROUPS)
    for name in list(os.environ):
        if name.startswith(_DROPPED) and not (drives and name in _KEPT):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LLMCTL_HOME", str(tmp_path / "llmctl"))
    return home


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The Pulumi CLI: `LLMCTL_PULUMI`, else the managed copy of this user.

    Without one the test is skipped with the reason, or fails where `CI=true`.
    """
    from llmctl_stacks.engine.cli import find_cli
    from llmctl_stacks.errors import EngineMissing

    try:
        return find_cli(Home.from_environment()).path
    except EngineMissing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
