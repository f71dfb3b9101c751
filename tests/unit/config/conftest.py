"""A project in the test's own folder, written from the text of its two files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmctl_stacks.config import Project, find_project

Write = Callable[..., Project]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes llmctl.yaml and stacks/prod.yaml; the test works in their folder, so messages name them shortly."""
    monkeypatch.chdir(tmp_path)

    def write_project(stack: str | bytes = "target: local\n", base: str | bytes = "name: demo\n") -> Project:
        for name, content in (("llmctl.yaml", base), ("stacks/prod.yaml", stack)):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return find_project(tmp_path)

    return write_project
