"""What `status` shows: every process of a stack, how it does, and its last words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.fleet import load_fleet
from llmctl_infra.local.gateway_record import load_gateway
from llmctl_infra.local.logs import ACCESS_LOG, GATEWAY_LOG, tail
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.probe import is_ready
from llmctl_infra.local.supervisor import supervisor_socket
from llmctl_infra.local.supervisor_client import ProcessInfo, SupervisorClient

_UNKNOWN = ProcessInfo("", "unknown", 0, 0.0, "the supervisor does not know it")


@dataclass(frozen=True)
class ProcessStatus:
    """One process of a stack.

    Attributes:
        component: supervisor, server or gateway.
        name: of the process.
        state: running, starting, backoff, stopping, stopped, exited, fatal, or unknown.
        ready: whether it takes requests now.
        pid: its number, or None when there is no process.
        address: `host:port` that it listens on, or the path of its socket.
        uptime_seconds: since its last start, or None.
        memory_bytes: resident memory, or None.
        restarts: starts after the first one, as far as the supervisor's log goes back.
        detail: why it does not run; may be empty.
        log: its last lines, oldest first.
    """

    component: str
    name: str
    state: str
    ready: bool
    pid: int | None
    address: str
    uptime_seconds: float | None
    memory_bytes: int | None
    restarts: int
    detail: str
    log: tuple[str, ...]


def stack_status(root: Path, log_lines: int = 5) -> tuple[ProcessStatus, ...]:
    """Every process that the stack should have, the supervisor first; empty when it has none.

    Args:
        root: folder of the stack.
        log_lines: how many lines of each log.
    """
    socket = supervisor_socket(root)
    if socket is None:
        return ()
    paths = StackPaths(root)
    try:
        running = SupervisorClient(socket).processes()
    except ResourceError:
        running = {}
    starts = _spawns(paths)
    return (
        _supervisor(paths, socket, log_lines),
        *_servers(paths, running, starts, log_lines),
        *_gateway(paths, running, starts, log_lines),
    )


def _supervisor(paths: StackPaths, socket: Path, log_lines: int) -> ProcessStatus:
    alive = SupervisorClient(socket).is_alive()
    pid = _recorded_pid(paths) if alive else None
    return ProcessStatus(
        component="supervisor",
        name="supervisor",
        state="running" if alive else "stopped",
        ready=alive,
        pid=pid,
        address=str(socket),
        uptime_seconds=None,
        memory_bytes=_memory(pid),
        restarts=0,
        detail="" if alive else "supervisord does not answer",
        log=tail(paths.logs / "supervisor.log", log_lines),
    )


def _servers(
    paths: StackPaths, running: dict[str, ProcessInfo], starts: dict[str, int], log_lines: int
) -> Iterator[ProcessStatus]:
    fleet = load_fleet(paths)
    for replica in fleet.replicas if fleet else ():
        info = running.get(replica.name, _UNKNOWN)
        yield _status(
            "server",
            replica.name,
            info,
            ready=info.alive and is_ready(*replica.address),
            address=f"{replica.host}:{replica.port}",
            restarts=starts.get(replica.name, 0),
            log=tail(paths.logs / f"{replica.name}.log", log_lines),
        )


def _gateway(
    paths: StackPaths, running: dict[str, ProcessInfo], starts: dict[str, int], log_lines: int
) -> Iterator[ProcessStatus]:
    record = load_gateway(paths)
    if record is None:
        return
    info = running.get(record.program, _UNKNOWN)
    yield _status(
        "gateway",
        record.program,
        info,
        ready=info.alive and record.is_serving(),
        address=f"{record.host}:{record.port}",
        restarts=starts.get(record.program, 0),
        log=(*tail(paths.logs / GATEWAY_LOG, log_lines), *tail(paths.logs / ACCESS_LOG, log_lines)),
    )


def _status(
    component: str, name: str, info: ProcessInfo, *, ready: bool, address: str, restarts: int, log: tuple[str, ...]
) -> ProcessStatus:
    return ProcessStatus(
        component=component,
        name=name,
        state=info.state,
        ready=ready,
        pid=info.pid or None,
        address=address,
        uptime_seconds=info.uptime if info.pid else None,
        memory_bytes=_memory(info.pid or None),
        restarts=restarts,
        detail=info.detail,
        log=log,
    )


def _spawns(paths: StackPaths) -> dict[str, int]:
    """How often each program was started again since it was last stopped on purpose, from the supervisor's log."""
    starts: dict[str, int] = {}
    for line in tail(paths.logs / "supervisor.log", 10_000):
        if spawned := re.search(r"spawned: '([^']+)'", line):
            starts[spawned[1]] = starts.get(spawned[1], -1) + 1
        elif stopped := re.search(r"stopped: (\S+) ", line):
            starts.pop(stopped[1], None)
    return starts


def _recorded_pid(paths: StackPaths) -> int | None:
    try:
        return int((paths.supervisor / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return None


def _memory(pid: int | None) -> int | None:
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else None
    except psutil.Error:
        return None
