"""The model servers: worker processes on ports of their own, replaced one after the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.base import DRIFT, LocalHandler, Observed
from llmctl_infra.local.files import content_drift, remove
from llmctl_infra.local.fleet import SERVER_PREFIX, Fleet, Replica, endpoints_text, load_fleet
from llmctl_infra.local.launch import keys_path, keys_text, replica_drift
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.probe import is_ready
from llmctl_infra.local.rollout import Rollout
from llmctl_infra.local.server_inputs import ServersInputs
from llmctl_infra.local.strangers import strangers_drift
from llmctl_infra.local.supervisor_client import ProcessInfo, SupervisorClient
from llmctl_infra.local.waiting import wait_until
from llmctl_infra.provider.codec import UNKNOWN
from llmctl_infra.provider.handler import Props

_SETTLE_SECONDS = 3.0


class Servers(LocalHandler[ServersInputs]):
    """Keeps the wanted number of servers, all of them with the wanted settings.

    Args:
        module: Python module that is the server.
        cancelled: set when the user interrupts.
    """

    inputs = ServersInputs
    computed = frozenset({"endpoints", "endpointsPath", "generation", DRIFT})
    stable = frozenset({"endpointsPath"})
    replace_on = frozenset({"root"})

    def __init__(self, module: str, cancelled: threading.Event | None) -> None:
        self._module = module
        self._cancelled = cancelled

    def identity(self, inputs: ServersInputs) -> str:
        """The folder of the servers."""
        return str(StackPaths(inputs.root).servers)

    def preview(self, news: Props, old_outputs: Props | None) -> Props:
        """The endpoints file is known beforehand."""
        root = news.get("root", UNKNOWN)
        path = {} if root is UNKNOWN else {"endpointsPath": str(StackPaths(Path(root)).endpoints)}
        return {**super().preview(news, old_outputs), **path}

    def converge(self, inputs: ServersInputs) -> dict[str, Any]:
        """Roll the servers over to `inputs`; see `rollout`."""
        return _outputs(inputs, Rollout(inputs, self._module, self._cancelled).run())

    def observe(self, inputs: ServersInputs) -> Observed | None:
        """Whether every server runs, is ready, and was started from what is recorded."""
        fleet = load_fleet(StackPaths(inputs.root))
        if fleet is None:
            return None
        return Observed(_outputs(inputs, fleet), self._drift(inputs, fleet))

    def remove(self, inputs: ServersInputs) -> None:
        """Stop all servers, each after the requests that it has accepted."""
        paths = StackPaths(inputs.root)
        if SupervisorClient(inputs.supervisor_socket).is_alive():
            Rollout(inputs, self._module, None).stop_all()
        remove(paths.servers)

    def _drift(self, inputs: ServersInputs, fleet: Fleet) -> tuple[str, ...]:
        paths = StackPaths(inputs.root)
        count = len(fleet.serving)
        few = () if count == inputs.replicas else (f"{count} of {inputs.replicas} servers are in service",)
        files = (
            *content_drift(paths.endpoints, endpoints_text(fleet)),
            *content_drift(keys_path(paths), keys_text(inputs)),
        )
        edited = (each for replica in fleet.serving for each in replica_drift(inputs, self._module, replica))
        return (*few, *files, *edited, *_process_drift(inputs, fleet))


def _process_drift(inputs: ServersInputs, fleet: Fleet) -> tuple[str, ...]:
    """Servers that do not run or are not ready, after a moment for those that start again; and left-over ones."""
    client = SupervisorClient(inputs.supervisor_socket)
    meant = [replica.name for replica in fleet.serving]
    found: tuple[str, ...] = ()

    def all_serve() -> bool:
        nonlocal found
        running = client.processes()
        found = tuple(each for replica in fleet.serving if (each := _trouble(replica, running.get(replica.name))))
        return not found

    try:
        wait_until(all_serve, _SETTLE_SECONDS)
        return (*found, *strangers_drift(StackPaths(inputs.root), client, SERVER_PREFIX, meant))
    except ResourceError as error:
        return (str(error),)


def _trouble(replica: Replica, info: ProcessInfo | None) -> str:
    if info is None:
        return f"{replica.name} is unknown to the supervisor"
    if not info.alive:
        return f"{replica.name} is {info.state}"
    return "" if is_ready(*replica.address) else f"{replica.name} is not ready"


def _outputs(inputs: ServersInputs, fleet: Fleet) -> dict[str, Any]:
    return {
        "endpoints": [
            {"name": replica.name, "host": replica.host, "port": replica.port} for replica in fleet.serving
        ],
        "endpointsPath": str(StackPaths(inputs.root).endpoints),
        "generation": fleet.generation,
    }
