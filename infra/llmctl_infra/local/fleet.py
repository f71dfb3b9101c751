"""The servers that exist, as remembered on disk: it says what to find again after an interruption."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from llmctl_infra.gateway.clusters import endpoints_document
from llmctl_infra.gateway.spec import SERVERS
from llmctl_infra.gateway.xds import text
from llmctl_infra.local.files import write_private
from llmctl_infra.local.paths import StackPaths

SERVER_PREFIX = "server-"


@dataclass(frozen=True)
class Replica:
    """One server process.

    Attributes:
        name: in the supervisor, the logs and the metrics.
        host: address that it listens on.
        port: that it listens on; kept over restarts.
        fingerprint: hash of everything it was started with, but for name and port.
        serving: whether it is meant to get requests; not yet when it starts, no more when it goes.
    """

    name: str
    host: str
    port: int
    fingerprint: str
    serving: bool = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


@dataclass(frozen=True)
class Fleet:
    """All servers of a stack.

    Attributes:
        generation: counts how often the servers were replaced by others with other settings.
        replicas: the servers, in the order in which they were started.
    """

    generation: int = 0
    replicas: tuple[Replica, ...] = ()

    @property
    def serving(self) -> tuple[Replica, ...]:
        """Those that are meant to get requests, by name."""
        return tuple(sorted((each for each in self.replicas if each.serving), key=lambda each: each.name))

    def with_replica(self, replica: Replica) -> Fleet:
        """The fleet with `replica` added, or in place of the one of the same name."""
        others = tuple(each for each in self.replicas if each.name != replica.name)
        return replace(self, replicas=(*others, replica))

    def without(self, names: set[str]) -> Fleet:
        """The fleet without some servers."""
        return replace(self, replicas=tuple(each for each in self.replicas if each.name not in names))

    def free_name(self) -> str:
        """The first name that no server has; names stay few, so that logs and metrics do too."""
        taken = {each.name for each in self.replicas}
        return next(name for number in range(1, 10_000) if (name := f"{SERVER_PREFIX}{number}") not in taken)


def load_fleet(paths: StackPaths) -> Fleet | None:
    """The record, or None when there is none (or it is damaged, which counts as none)."""
    try:
        record = json.loads((paths.servers / "record.json").read_text())
        replicas = tuple(Replica(**each) for each in record["replicas"])
        return Fleet(int(record["generation"]), replicas)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save_fleet(paths: StackPaths, fleet: Fleet) -> None:
    """Remember `fleet`."""
    write_private(paths.servers / "record.json", json.dumps(asdict(fleet), indent=1) + "\n")


def endpoints_text(fleet: Fleet) -> str:
    """What the gateway reads: every server that is meant to get requests."""
    return text(endpoints_document(SERVERS, [replica.address for replica in fleet.serving]))
