"""A project per test, and one that is up for the tests of a module that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.product import Product


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the engine and the platform."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.platform)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A fresh project; whatever it left running is ended."""
    made = Product.fresh(tmp_path / "user")
    yield made
    made.kill_everything()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A project whose stack is up; tests leave it healthy."""
    made = Product.fresh(tmp_path_factory.mktemp("running"))
    try:
        made.up()
        yield made
        made.good("down", "local", "--all", "--yes")
    finally:
        made.kill_everything()
