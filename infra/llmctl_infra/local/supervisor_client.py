"""Talking to supervisord: XML-RPC over its Unix socket."""

from __future__ import annotations

import http.client
import threading
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.unix_http import UnixConnection
from llmctl_infra.local.waiting import wait_until

RUNNING = "running"
STARTING = "starting"
_ALREADY_ADDED, _BAD_NAME, _NOT_RUNNING = 90, 10, 70
_GONE = {"stopped", "exited", "fatal", "unknown"}
_adding = threading.Lock()  # reading the configuration and adding from it are two calls


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord knows of one process.

    Attributes:
        name: of the program.
        state: starting, running, backoff, stopping, stopped, exited, fatal or unknown.
        pid: of the process; 0 when there is none.
        uptime: seconds since it was started; 0 when there is none.
        detail: why it does not run, in supervisord's words; may be empty.
    """

    name: str
    state: str
    pid: int
    uptime: float
    detail: str

    @property
    def alive(self) -> bool:
        """Whether it runs, or was started a moment ago."""
        return self.state in (RUNNING, STARTING)


class SupervisorClient:
    """The supervisor behind a socket. Constructing it touches nothing.

    Args:
        socket: path of its Unix socket.
        timeout: seconds for one answer.
    """

    def __init__(self, socket: Path, timeout: float = 10.0) -> None:
        self.socket = socket
        self._timeout = timeout

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getState")
        except ResourceError:
            return False
        return True

    def processes(self) -> dict[str, ProcessInfo]:
        """Every process by its name.

        Raises:
            ResourceError: when supervisord does not answer.
        """
        return {info["name"]: _process(info) for info in self._call("getAllProcessInfo")}

    def add(self, name: str) -> None:
        """Start the program whose file was just written.

        Raises:
            ResourceError: when supervisord does not answer or cannot read the file.
        """
        with _adding:
            self._call("reloadConfig")
            try:
                self._call("addProcessGroup", name)
            except _FaultError as error:
                if error.code != _ALREADY_ADDED:
                    raise

    def stop(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL when the program's time is over; return at once."""
        try:
            self._call("stopProcessGroup", name, False)
        except _FaultError as error:
            if error.code not in (_BAD_NAME, _NOT_RUNNING):
                raise

    def remove(self, name: str, seconds: float) -> None:
        """Stop a program, wait until it is gone, and forget it; an unknown one is fine.

        Raises:
            ResourceError: when it is still there after `seconds`.
        """
        self.stop(name)

        def gone() -> bool:
            found = self.processes().get(name)
            return found is None or found.state in _GONE

        if not wait_until(gone, seconds):
            raise ResourceError(f"{name} does not stop", f"it is still there after {seconds:.0f} s")
        try:
            self._call("removeProcessGroup", name)
        except _FaultError as error:
            if error.code != _BAD_NAME:
                raise

    def shutdown(self) -> None:
        """Stop every program at once, then supervisord itself; returns at once."""
        self._call("stopAllProcesses", False)
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection of its own for every call: handlers run in threads, and supervisord comes and goes.
        transport = _Transport(str(self.socket), self._timeout)
        try:
            proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as error:
            raise _FaultError(method, error) from error
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise ResourceError(
                "the supervisor does not answer", f"{self.socket}: {error}", "run `llmctl up` to start it again"
            ) from error
        finally:
            transport.close()


class _FaultError(ResourceError):
    """Raised when supervisord refuses a call."""

    def __init__(self, method: str, fault: xmlrpc.client.Fault) -> None:
        super().__init__(f"the supervisor refuses {method}", fault.faultString)
        self.code = fault.faultCode


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = UnixConnection(self._path, self._timeout)
        self._connection = host, connection  # what `close` closes
        return connection


def _process(info: dict[str, Any]) -> ProcessInfo:
    running = info["pid"] != 0
    return ProcessInfo(
        name=info["name"],
        state=str(info["statename"]).lower(),
        pid=info["pid"],
        uptime=float(info["now"] - info["start"]) if running else 0.0,
        detail=info["spawnerr"] or ("" if running else info["description"]),
    )
