"""Local stacks with a stand-in for the model server, and one that is shared by tests that only ask."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "parts"))

from local_stack import LocalStack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.platform)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack that is still to be created; whatever it leaves running is ended."""
    made = LocalStack(tmp_path)
    yield made
    made.kill_everything()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack that is up; tests leave it as it was."""
    made = LocalStack(tmp_path_factory.mktemp("running"))
    try:
        limits = [{"key": "limited", "rps": 1, "burst": 3}]
        made.up(gateway={"rateLimits": limits})
        yield made
    finally:
        made.kill_everything()
