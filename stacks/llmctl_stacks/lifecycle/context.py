"""Which stack is meant, and everything that follows from its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llmctl_stacks.config import Loaded, find_project, load
from llmctl_stacks.config.suggest import did_you_mean
from llmctl_stacks.engine import state
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import UsageError
from llmctl_stacks.home import Home
from llmctl_stacks.lifecycle.options import Options
from llmctl_stacks.lock import StackLock
from llmctl_stacks.targets.target import LAYERS

DEFAULT_STACK = "local"


@dataclass(frozen=True)
class Context:
    """One stack of one project, of one user.

    Attributes:
        home: the user's folder.
        loaded: the configuration, references unresolved.
    """

    home: Home
    loaded: Loaded

    @property
    def project(self) -> str:
        """Name of the project."""
        return self.loaded.config.name

    @property
    def stack(self) -> str:
        """Name of the stack."""
        return self.loaded.stack

    @cached_property
    def folder(self) -> Path:
        """What the local target provisions for the stack is below this folder."""
        return self.home.stack(self.project, self.stack)

    def spec(self, layer: str) -> StackSpec:
        """The Pulumi stack of a layer."""
        return StackSpec(self.project, layer, self.stack)

    @property
    def lock(self) -> StackLock:
        """The lock of the stack; looking at it takes nothing."""
        return StackLock(self.home, self.project, self.stack)

    def checkpoint(self, layer: str) -> state.Checkpoint:
        """What the engine has recorded of a layer, as it is now."""
        return state.read(self.home, self.spec(layer))

    def checkpoints(self) -> dict[str, state.Checkpoint]:
        """What the engine has recorded of every layer, as it is now."""
        return {layer: self.checkpoint(layer) for layer in LAYERS}

    def recorded(self) -> dict[str, dict[str, object]]:
        """Outputs of every layer that was ever updated, as they are now; secrets masked."""
        return outputs_by_layer(self.checkpoints())


def outputs_by_layer(checkpoints: Mapping[str, state.Checkpoint]) -> dict[str, dict[str, object]]:
    """Outputs of the layers that have resources; secrets masked."""
    return {layer: dict(found.outputs) for layer, found in checkpoints.items() if found.resources}


def open_context(options: Options) -> Context:
    """Find the project and load the stack that `options` name.

    Raises:
        NotFoundError: when there is no project or no such stack.
        UsageError: when several stacks exist, none is `local`, and none was named.
        ConfigError: with every problem in the files.
    """
    project = find_project(Path.cwd(), options.config)
    name = options.stack or default_stack(project.stacks())
    return Context(Home.from_environment(), load(project, name))


def default_stack(names: tuple[str, ...]) -> str:
    """The only stack, else `local`.

    Raises:
        UsageError: when neither will do.
    """
    if len(names) == 1:
        return names[0]
    if not names or DEFAULT_STACK in names:
        return DEFAULT_STACK
    hint = did_you_mean(DEFAULT_STACK, names)
    raise UsageError("which stack?", f"there are {', '.join(names)}", f"name one{': ' + hint if hint else ''}")
