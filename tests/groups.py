"""Groups of tests that need something of the machine: run where it is there, named at the end where it is not.

A pytest plugin (`-p groups`). Each group is a marker. What is missing leaves its group out, with one line at the
end of the run that says why and what would bring it. With `CI=true` a missing group fails the run instead, so
that nothing is quietly untested where it counts.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Missing = Callable[[], str]
"""Says what is missing and how to get it; empty when all is there."""


def _engine() -> str:
    given = os.environ.get("LLMCTL_PULUMI", "")
    if given and Path(given).is_file():
        return ""
    return "no Pulumi engine: run `make test`, which finds, installs or builds it"


def _platform() -> str:
    if sys.platform not in {"linux", "darwin"}:
        return "the local target runs on Linux and macOS"
    missing = [name for name in ("envoy", "supervisor") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _torch() -> str:
    return "" if importlib.util.find_spec("torch") else "no torch: run `make test-all`"


def _root() -> str:
    return "" if os.geteuid() == 0 else "not root: small file systems cannot be mounted"


GROUPS: Mapping[str, Missing] = {
    "engine": _engine,
    "platform": _platform,
    "train": _torch,
    "root": _root,
}


def missing_groups() -> dict[str, str]:
    """The groups that this machine cannot run, each with why."""
    return {name: why for name, missing in GROUPS.items() if (why := missing())}


class Groups:
    """Leaves out the groups that cannot run and says so at the end."""

    def __init__(self) -> None:
        self.missing = missing_groups()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the tests of missing groups."""
        out = [item for item in items if any(item.get_closest_marker(name) for name in self.missing)]
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In CI a missing group fails the run."""
        if self.missing and os.environ.get("CI") == "true" and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line for each group that was left out."""
        for name, why in sorted(self.missing.items()):
            terminalreporter.write_line(f"left out: {name}: {why}")


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin's state."""
    config.pluginmanager.register(Groups(), "llmctl-groups")
