"""The gateway: one Envoy in front of the servers.

What changes often (keys, limits, time-outs, servers, even the port) Envoy reads while it runs. What it reads only
when it starts is changed by a handover: a second Envoy listens on the same port, then the first one drains.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmctl_infra.errors import ResourceError
from llmctl_infra.local import ports
from llmctl_infra.local.base import DRIFT, LocalHandler, Observed
from llmctl_infra.local.files import content_drift, private_folder, remove, write_if_changed, write_private
from llmctl_infra.local.gateway_inputs import GatewayFiles, GatewayInputs, gateway_files
from llmctl_infra.local.gateway_record import GatewayRecord, load_gateway, save_gateway
from llmctl_infra.local.logs import GATEWAY_LOG, tail
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.strangers import strangers, strangers_drift
from llmctl_infra.local.supervisor_client import SupervisorClient
from llmctl_infra.local.waiting import wait_until
from llmctl_infra.provider.handler import Props

_READY_SECONDS = 20.0
_ACCEPT_SECONDS = 10.0
_SETTLE_SECONDS = 3.0
_LONGEST_DRAIN = 60.0
_IDLE_SECONDS = 3.0
_EVIDENCE_LINES = 15
_PREFIX = "gateway-"


class Gateway(LocalHandler[GatewayInputs]):
    """Keeps Envoy running with what is wanted.

    Args:
        cancelled: set when the user interrupts.
    """

    inputs = GatewayInputs
    computed = frozenset({"url", "port", "adminPath", DRIFT})
    replace_on = frozenset({"root"})

    def __init__(self, cancelled: threading.Event | None) -> None:
        self._cancelled = cancelled

    def identity(self, inputs: GatewayInputs) -> str:
        """The folder of the gateway."""
        return str(StackPaths(inputs.root).gateway)

    def preview(self, news: Props, old_outputs: Props | None) -> Props:
        """The address is known beforehand when it stays."""
        planned = super().preview(news, old_outputs)
        old = old_outputs or {}
        stays = old.get("host") == news.get("host") and news.get("port") in (0, old.get("port"))
        return {**planned, "url": old["url"], "port": old["port"]} if old and stays else planned

    def converge(self, inputs: GatewayInputs) -> dict[str, Any]:
        """Have Envoy read what is new, hand over to another one, or start the first one."""
        with ports.choosing():
            return _outputs(self._converge(inputs))

    def observe(self, inputs: GatewayInputs) -> Observed | None:
        """Whether Envoy runs, listens, and its files are as written."""
        paths = StackPaths(inputs.root)
        record = load_gateway(paths)
        if record is None:
            return None
        client = SupervisorClient(inputs.supervisor_socket)
        try:
            files = gateway_files(inputs, record)
            info = client.processes().get(record.program)
            left = strangers_drift(paths, client, _PREFIX, (record.program,))
        except ResourceError as error:
            return Observed(_outputs(record), (str(error),))
        contents = {**files.watched, **files.started}
        edited = (each for path, content in contents.items() for each in content_drift(path, content))
        if info is None or not info.alive:
            state = f"{record.program} is {info.state if info else 'unknown to the supervisor'}"
            return Observed(_outputs(record), (state, *edited, *left))
        listens = wait_until(record.is_serving, _SETTLE_SECONDS)
        deaf = () if listens else (f"{record.program} runs but does not listen on {record.host}:{record.port}",)
        return Observed(_outputs(record), (*deaf, *edited, *left))

    def remove(self, inputs: GatewayInputs) -> None:
        """Finish the requests that are under way, then stop Envoy."""
        paths, client = StackPaths(inputs.root), SupervisorClient(inputs.supervisor_socket)
        record = load_gateway(paths)
        if client.is_alive():
            if record is not None:
                _retire(paths, client, record, inputs.timeout_seconds)
            _forget_others(paths, client, None)
        for socket in paths.sockets.glob(f"{_PREFIX}*.sock"):
            remove(socket)
        remove(paths.gateway)

    def _converge(self, inputs: GatewayInputs) -> GatewayRecord:
        paths, client = StackPaths(inputs.root), SupervisorClient(inputs.supervisor_socket)
        record = load_gateway(paths)
        running = record if record and _runs(client, record) else None
        wanted = _wanted(inputs, record, running)
        private_folder(Path(wanted.sockets))
        _forget_others(paths, client, running)
        files = gateway_files(inputs, wanted)
        if running is None:
            self._start(paths, client, wanted, files)
        elif any(content_drift(path, content) for path, content in files.started.items()):
            successor = replace(wanted, generation=wanted.generation + 1)
            self._start(paths, client, successor, gateway_files(inputs, successor))
            _retire(paths, client, running, inputs.timeout_seconds)
            wanted = successor
        else:
            self._reload(paths, wanted, files)
        return wanted

    def _start(
        self, paths: StackPaths, client: SupervisorClient, record: GatewayRecord, files: GatewayFiles
    ) -> None:
        """Start the Envoy of `record` and wait until it takes requests; take it away again when it does not."""
        log, said = paths.logs / GATEWAY_LOG, _size(paths.logs / GATEWAY_LOG)
        for path, content in {**files.watched, **files.started}.items():
            write_if_changed(path, content)

        def settled() -> bool:
            info = client.processes().get(record.program)
            return info is None or not info.alive or record.is_serving()

        try:
            client.add(record.program)
            wait_until(settled, _READY_SECONDS, self._cancelled)
            if not record.is_serving():
                raise _not_taken("the gateway does not start", tail(log, _EVIDENCE_LINES, said))
        except ResourceError:
            _forget(paths, client, record.program)
            raise
        save_gateway(paths, record)

    def _reload(self, paths: StackPaths, record: GatewayRecord, files: GatewayFiles) -> None:
        """Have the running Envoy read what is new; put the old files back when it refuses."""
        log, said = paths.logs / GATEWAY_LOG, _size(paths.logs / GATEWAY_LOG)
        before = {path: path.read_text() for path in files.watched if path.exists()}
        refused = record.admin.rejections()
        for path, content in files.watched.items():
            write_if_changed(path, content)

        def taken() -> bool:
            reported = record.admin.versions()
            return all(reported.get(name) == version for name, version in files.versions.items())

        wait_until(lambda: taken() or record.admin.rejections() > refused, _ACCEPT_SECONDS)
        if not (taken() and wait_until(record.is_serving, _ACCEPT_SECONDS)):
            for path, content in before.items():
                write_private(path, content)
            raise _not_taken("the gateway refuses its new configuration", tail(log, _EVIDENCE_LINES, said))
        save_gateway(paths, record)


def _wanted(inputs: GatewayInputs, record: GatewayRecord | None, running: GatewayRecord | None) -> GatewayRecord:
    """Generation and address to have; refuses a port that is taken before anything is changed."""
    if inputs.port:
        port = inputs.port
    elif record and record.host == inputs.host and (running or ports.is_free(record.host, record.port)):
        port = record.port
    else:
        port = ports.choose(inputs.host, ports.GATEWAY_PORTS)
    if running is None or (running.host, running.port) != (inputs.host, port):
        ports.require_free(inputs.host, port)
    sockets = running.sockets if running else str(inputs.supervisor_socket.parent)
    return GatewayRecord(record.generation if record else 1, inputs.host, port, sockets)


def _forget_others(paths: StackPaths, client: SupervisorClient, kept: GatewayRecord | None) -> None:
    """Stop gateways that an interrupted change has left."""
    for name in strangers(paths, client, _PREFIX, (kept.program,) if kept else ()):
        _forget(paths, client, name)


def _retire(paths: StackPaths, client: SupervisorClient, record: GatewayRecord, seconds: float) -> None:
    """Let a gateway finish its requests, then stop it.

    A client learns with its next answer that its connection ends, so clients that keep asking are gone soon; one
    that keeps an idle connection open is not waited for longer than a moment.
    """
    record.admin.drain()
    wait_until(lambda: record.admin.active()[0] == 0, min(seconds, _IDLE_SECONDS))
    wait_until(lambda: record.admin.active()[1] == 0, min(seconds, _LONGEST_DRAIN))
    _forget(paths, client, record.program)


def _forget(paths: StackPaths, client: SupervisorClient, program: str) -> None:
    client.remove(program, seconds=15)
    remove(paths.programs / f"{program}.conf")
    remove(paths.gateway / f"bootstrap-{program.removeprefix(_PREFIX)}.json")


def _not_taken(what: str, evidence: tuple[str, ...]) -> ResourceError:
    return ResourceError(what, evidence[-1] if evidence else "", "llmctl logs --component gateway", evidence)


def _runs(client: SupervisorClient, record: GatewayRecord) -> bool:
    """Whether the gateway serves, or does so in a moment because it is just starting again."""
    info = client.processes().get(record.program)
    return info is not None and info.alive and wait_until(record.is_serving, _SETTLE_SECONDS)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _outputs(record: GatewayRecord) -> dict[str, Any]:
    return {"url": record.url, "port": record.port, "adminPath": record.admin_socket}
