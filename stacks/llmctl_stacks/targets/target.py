"""What the verbs need of a target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from llmctl_stacks.results import Endpoint, LogLine, ReplicaStatus, ResourceChange, Risk

if TYPE_CHECKING:
    from llmctl_infra.errors import ResourceError

LAYERS = ("base", "serve")
"""The Pulumi stacks of one llmctl stack, in the order of `up`: what must survive, and what answers."""

Program: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class LogQuery:
    """Which log lines.

    Attributes:
        follow: go on with the lines that come, until the caller stops reading.
        since_seconds: leave out what is older than this.
        lines: of what is there already, at most so many, the newest; None for all.
        replica: of one process only.
        component: of one kind of process only.
    """

    follow: bool = False
    since_seconds: float | None = None
    lines: int | None = None
    replica: str | None = None
    component: str | None = None


class Attached(Protocol):
    """A provider that runs inside this process while an operation lasts."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Loopback port by package name."""

    @property
    def failures(self) -> Mapping[str, ResourceError]:
        """Why resources failed, by URN, since the last operation began."""

    def find(self, type_token: str, inputs: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        """Id and outputs of the resource that a create with `inputs` would make, when it is there already."""


class Target(Protocol):
    """One kind of place to run a stack in."""

    def preflight(self) -> None:
        """Check what `up` needs, before anything is changed.

        Raises:
            PreflightError: naming what is missing.
            ConfigError: when a secret or an environment variable is not set.
        """

    def attach(self) -> AbstractContextManager[Attached]:
        """Serve the target's resources to the engine."""

    def program(self, layer: str, recorded: Mapping[str, Any]) -> Program:
        """What the layer consists of.

        Args:
            layer: one of `LAYERS`.
            recorded: outputs of the layers before it, by layer; empty where one was never updated.
        """

    def risks(self, changes: tuple[ResourceChange, ...]) -> tuple[Risk, ...]:
        """What `changes` mean for requests in flight."""

    def endpoint(self, recorded: Mapping[str, Any]) -> Endpoint | None:
        """Where the stack answers, from the outputs by layer; None when it does not."""

    def replicas(self) -> tuple[ReplicaStatus, ...]:
        """Every process or pod of the stack, as it is now."""

    def logs(self, query: LogQuery) -> Iterator[LogLine]:
        """Lines of the components' logs, oldest first.

        Raises:
            NotFoundError: when there is no such component or replica, or there are no logs.
        """

    def sweep(self, *, all_layers: bool) -> tuple[str, ...]:
        """End what runs although the state knows nothing of it; with all layers also remove the logs.

        Returns:
            What was ended, one description each.
        """

    def leftovers(self, recorded: Mapping[str, Any], *, all_layers: bool) -> tuple[str, ...]:
        """What is still there although it should be gone.

        Args:
            recorded: outputs by layer from before the layers were destroyed.
            all_layers: whether the data should be gone too.
        """
