"""The real engine on a home of the test's own, with a provider whose resources are files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmctl_infra.provider.host import ProviderHost
from llmctl_stacks.engine import state
from llmctl_stacks.engine.events import Event
from llmctl_stacks.engine.operations import Engine, OpReport, Options, Verb
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.home import Home

sys.path.insert(0, str(Path(__file__).parent))  # the test provider is a plain module beside the tests

from things import TYPE, Things, chain


@dataclass
class Rig:
    """One stack and all that it takes to drive it."""

    home: Home
    engine: Engine
    things: Things
    host: ProviderHost
    spec: StackSpec = field(default=StackSpec("demo", "base", "local"))
    events: list[Event] = field(default_factory=list)

    @property
    def providers(self) -> dict[str, int]:
        return {"llmctl": self.host.port}

    def run(self, verb: Verb, wanted: dict[str, dict[str, Any]], **options: Any) -> OpReport:
        self.events.clear()
        arguments: Options = {"failures": self.host.failures, **options}
        return self.engine.run(
            verb, self.spec, lambda: chain(wanted), self.providers, self.events.append, **arguments
        )

    def recorded(self) -> dict[str, state.Resource]:
        resources = state.read(self.home, self.spec).resources
        return {resource.name: resource for resource in resources if not resource.component}

    def pulumi_locks(self) -> list[Path]:
        return list((self.home.state / ".pulumi" / "locks").rglob("*.json"))


@pytest.fixture
def rig(tmp_path: Path, pulumi_cli: Path) -> Iterator[Rig]:
    home = Home(tmp_path / "llmctl")
    home.ensure()
    things = Things(tmp_path / "store")
    with ProviderHost({TYPE: things}) as host:
        yield Rig(home, Engine(home, pulumi_cli), things, host)
        things.over.set()
