"""Bringing the servers from what is there to what is wanted, without a failed request.

The stages, each of which is remembered on disk before it begins, so that an interrupted rollout is taken up by
the next one:

1. Programs that nobody remembers are stopped; the hashes of the API keys are written.
2. Servers are sorted: those that fit (same settings, running, ready), those that serve but are stale, and the
   dead, which go at once.
3. As long as some are missing, a new server is started beside the old ones; when it is ready the gateway is told,
   and only when the gateway finds it healthy, an old one goes. One at a time, so that the machine never holds more
   than one server too many; all at once where there is nothing to replace.
4. What is stale or one too many goes: out of the gateway's endpoints, then SIGTERM, then it finishes what it has.

When a new server does not become ready it is taken away again, and the old ones stay in service.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llmctl_infra.errors import ResourceError
from llmctl_infra.gateway.spec import SERVERS
from llmctl_infra.local import launch, ports
from llmctl_infra.local.files import remove, write_if_changed, write_private
from llmctl_infra.local.fleet import SERVER_PREFIX, Fleet, Replica, endpoints_text, load_fleet, save_fleet
from llmctl_infra.local.gateway_record import load_gateway
from llmctl_infra.local.logs import tail
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.probe import is_ready
from llmctl_infra.local.server_inputs import ServersInputs
from llmctl_infra.local.strangers import strangers
from llmctl_infra.local.supervisor_client import SupervisorClient
from llmctl_infra.local.waiting import InterruptedWait, wait_until

_GATEWAY_SECONDS = 5.0
_PORT_ATTEMPTS = 3
_EVIDENCE_LINES = 15


class _StartFailure(Exception):
    """Raised when a new server died or did not become ready."""

    def __init__(self, replica: Replica, why: str) -> None:
        super().__init__(why)
        self.replica = replica
        self.why = why


class Rollout:
    """One rollout; see the module.

    Args:
        inputs: what is wanted.
        module: Python module that is the server.
        cancelled: set when the user interrupts.
    """

    def __init__(self, inputs: ServersInputs, module: str, cancelled: threading.Event | None) -> None:
        self._inputs = inputs
        self._module = module
        self._cancelled = cancelled
        self._paths = StackPaths(inputs.root)
        self._client = SupervisorClient(inputs.supervisor_socket)
        self._fleet = load_fleet(self._paths) or Fleet()
        self._log_starts: dict[str, int] = {}
        self._wanted = launch.fingerprint(inputs, module)

    def run(self) -> Fleet:
        """Do it all.

        Raises:
            ResourceError: when a new server does not become ready; what served before still serves.
            InterruptedWait: when the user interrupted.
        """
        self._forget_leftovers()
        write_if_changed(launch.keys_path(self._paths), launch.keys_text(self._inputs))
        fit, stale = self._sort()
        surplus = fit[self._inputs.replicas :]
        missing = self._inputs.replicas - len(fit)
        if missing > 0 and (stale or not self._fleet.generation):
            self._save(replace(self._fleet, generation=self._fleet.generation + 1))
        while missing > 0:
            batch = max(1, missing - len(stale))
            self._start(batch)
            self._retire(stale[:batch])
            stale, missing = stale[batch:], missing - batch
        self._retire([*stale, *surplus])
        self._publish()
        return self._fleet

    def stop_all(self) -> None:
        """Stop every server."""
        self._forget_leftovers()
        self._retire(list(self._fleet.replicas))

    # -- stages --------------------------------------------------------------------------------------------

    def _forget_leftovers(self) -> None:
        known = {replica.name for replica in self._fleet.replicas}
        self._stop(strangers(self._paths, self._client, SERVER_PREFIX, known))

    def _sort(self) -> tuple[list[Replica], list[Replica]]:
        """Servers that fit and servers to replace, by name; the dead are gone afterwards."""
        for replica in self._fleet.replicas:
            if replica.fingerprint == self._wanted and not self._drifted(replica):
                self._await_ready_or_dead(replica)
        alive = {name for name, info in self._client.processes().items() if info.alive}
        serving = [
            replica
            for replica in sorted(self._fleet.replicas, key=lambda each: each.name)
            if replica.name in alive and is_ready(*replica.address)
        ]
        self._retire([replica for replica in self._fleet.replicas if replica not in serving])
        fit = [each for each in serving if each.fingerprint == self._wanted and not self._drifted(each)]
        for replica in fit:
            self._save(self._fleet.with_replica(replace(replica, serving=True)))
        return fit, [replica for replica in serving if replica not in fit]

    def _start(self, count: int) -> None:
        """Start `count` new servers at once and let them serve when all are ready."""
        for attempt in range(_PORT_ATTEMPTS):
            started = [self._launch() for _ in range(count)]
            try:
                self._await_ready(started)
            except _StartFailure as failure:
                evidence = self._evidence(failure.replica)
                self._stop({replica.name for replica in started})
                taken = not ports.is_free(*failure.replica.address)
                if not taken or attempt == _PORT_ATTEMPTS - 1:
                    raise self._explain(failure, evidence) from failure
            except InterruptedWait:
                self._stop({replica.name for replica in started})
                raise
            else:
                break
        for replica in started:
            self._save(self._fleet.with_replica(replace(replica, serving=True)))
        self._publish()
        self._await_gateway(healthy=started)

    def _retire(self, replicas: list[Replica]) -> None:
        """Take servers out of service, then stop them; each finishes the requests that it has."""
        if not replicas:
            return
        for replica in replicas:
            self._save(self._fleet.with_replica(replace(replica, serving=False)))
        self._publish()
        self._await_gateway(gone=replicas)
        self._stop({replica.name for replica in replicas})

    # -- parts ---------------------------------------------------------------------------------------------

    def _launch(self) -> Replica:
        """Write a new server's files and have it started."""
        spoken_for = frozenset(replica.port for replica in self._fleet.replicas)
        # From a random start: two stacks that choose at the same moment must not choose the same.
        first = random.choice(ports.SERVER_PORTS)  # noqa: S311 - no secret
        candidates = (*range(first, ports.SERVER_PORTS.stop), *range(ports.SERVER_PORTS.start, first))
        port = ports.choose(self._inputs.host, candidates, spoken_for)
        replica = Replica(self._fleet.free_name(), self._inputs.host, port, self._wanted)
        self._save(self._fleet.with_replica(replica))
        log = self._log(replica)  # which may hold what an earlier server of that name has said
        self._log_starts[replica.name] = log.stat().st_size if log.exists() else 0
        launch_text = launch.launch_text(self._inputs, self._module, replica)
        write_private(launch.launch_path(self._paths, replica.name), launch_text)
        program = launch.program(self._inputs, self._module, replica)
        write_private(launch.program_path(self._paths, replica.name), program)
        self._client.add(replica.name)
        return replica

    def _await_ready(self, replicas: list[Replica]) -> None:
        """Wait until all are ready; the first one that dies ends the wait."""
        waiting = list(replicas)

        def all_ready() -> bool:
            running = self._client.processes()
            for replica in list(waiting):
                info = running.get(replica.name)
                if info is None or not info.alive:
                    raise _StartFailure(replica, "it ended right after its start")
                if is_ready(*replica.address):
                    waiting.remove(replica)
            return not waiting

        if not wait_until(all_ready, self._inputs.start_seconds, self._cancelled, step=0.1):
            raise _StartFailure(waiting[0], f"it was not ready after {self._inputs.start_seconds:g} s")

    def _await_ready_or_dead(self, replica: Replica) -> None:
        """Give a server that starts again (after a crash, or with its supervisor) the time that it needs."""

        def settled() -> bool:
            info = self._client.processes().get(replica.name)
            return info is None or not info.alive or is_ready(*replica.address)

        wait_until(settled, self._inputs.start_seconds, self._cancelled)

    def _await_gateway(self, healthy: Iterable[Replica] = (), gone: Iterable[Replica] = ()) -> None:
        """Wait until the gateway has noticed; where there is none, or it does not answer, nobody is to notice."""
        record = load_gateway(self._paths)
        if record is None:
            return
        wanted = {replica.address for replica in healthy}
        unwanted = {replica.address for replica in gone}

        def noticed() -> bool:
            hosts = record.admin.hosts(SERVERS)
            return not hosts or (all(hosts.get(each, False) for each in wanted) and not unwanted & set(hosts))

        wait_until(noticed, _GATEWAY_SECONDS)

    def _stop(self, names: set[str]) -> None:
        """Tell all to stop at once, wait for each, and forget them."""
        for name in names:
            self._client.stop(name)
        for name in names:
            self._client.remove(name, launch.stop_seconds(self._inputs) + 5)
            remove(launch.program_path(self._paths, name))
            remove(launch.launch_path(self._paths, name))
        self._save(self._fleet.without(names))

    def _drifted(self, replica: Replica) -> bool:
        return bool(launch.replica_drift(self._inputs, self._module, replica))

    def _save(self, fleet: Fleet) -> None:
        if fleet != self._fleet:
            save_fleet(self._paths, fleet)
            self._fleet = fleet

    def _publish(self) -> None:
        """Tell the gateway which servers are in service."""
        write_if_changed(self._paths.endpoints, endpoints_text(self._fleet))

    def _evidence(self, replica: Replica) -> tuple[str, ...]:
        """What the server said before it died."""
        return tail(self._log(replica), _EVIDENCE_LINES, self._log_starts[replica.name])

    def _log(self, replica: Replica) -> Path:
        return self._paths.logs / f"{replica.name}.log"

    def _explain(self, failure: _StartFailure, evidence: tuple[str, ...]) -> ResourceError:
        kept = len(self._fleet.serving)
        after = f"; the {kept} servers from before stay in service" if kept else ""
        why = f"{failure.why}; its last words: {evidence[-1]}" if evidence else failure.why
        return ResourceError(
            f"the server {failure.replica.name} does not start{after}",
            why,
            "correct what the log says, then run `llmctl up` again",
            evidence,
        )
