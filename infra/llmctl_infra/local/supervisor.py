"""The process that keeps the others alive: one supervisord per stack.

It is started apart from llmctl (a session of its own, none of our files or streams), so that it outlives the
command and the terminal. When it was killed, its children live on without it; they are found by the mark in their
environment and ended before it is started again, because two of each would fight for the ports.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmctl_infra.errors import ResourceError
from llmctl_infra.local import processes
from llmctl_infra.local.base import DRIFT, Inputs, LocalHandler, Observed
from llmctl_infra.local.files import (
    content_drift,
    private_folder,
    remove,
    remove_if_empty,
    write_if_changed,
    write_private,
)
from llmctl_infra.local.paths import StackPaths, private_sockets
from llmctl_infra.local.programs import supervisor_text
from llmctl_infra.local.supervisor_client import SupervisorClient
from llmctl_infra.local.waiting import wait_until
from llmctl_infra.names import STACK_ID_VARIABLE, stack_id

_ORPHAN_GRACE = 10.0
_START_SECONDS = 15.0
_STOP_SECONDS = 60.0
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class SupervisorInputs(Inputs):
    """Inputs of `llmctl:local:Supervisor`.

    Attributes:
        root: folder of the stack.
        project: of the stack.
        stack: its name.
    """

    root: Path
    project: str
    stack: str


class Supervisor(LocalHandler[SupervisorInputs]):
    """Keeps supervisord running."""

    inputs = SupervisorInputs
    computed = frozenset({"socketPath", DRIFT})
    stable = frozenset({"socketPath"})
    replace_on = frozenset({"root", "project", "stack"})

    def identity(self, inputs: SupervisorInputs) -> str:
        """The id of the stack."""
        return stack_id(inputs.project, inputs.stack, inputs.root)

    def converge(self, inputs: SupervisorInputs) -> dict[str, Any]:
        """Write the configuration and start supervisord unless it runs."""
        paths = StackPaths(inputs.root)
        socket = _recorded_socket(paths) or paths.sockets / "supervisor.sock"
        private_folder(paths.programs)
        private_folder(paths.logs)
        private_sockets(socket.parent)
        write_private(_socket_record(paths), f"{socket}\n")
        write_if_changed(_configuration(paths), self._text(inputs, socket))
        if not SupervisorClient(socket).is_alive():
            processes.end_stack(self.identity(inputs), _ORPHAN_GRACE)
            _start(paths, socket, self.identity(inputs))
        return {"socketPath": str(socket)}

    def observe(self, inputs: SupervisorInputs) -> Observed | None:
        """Whether it answers, and whether its configuration is as written."""
        paths = StackPaths(inputs.root)
        socket = _recorded_socket(paths)
        if socket is None:
            return None
        alive = SupervisorClient(socket).is_alive()
        edited = content_drift(_configuration(paths), self._text(inputs, socket))
        return Observed({"socketPath": str(socket)}, (() if alive else ("supervisord does not run",)) + edited)

    def remove(self, inputs: SupervisorInputs) -> None:
        """Stop every process of the stack. The logs stay."""
        paths = StackPaths(inputs.root)
        socket = _recorded_socket(paths) or paths.sockets / "supervisor.sock"
        client, identity = SupervisorClient(socket), self.identity(inputs)
        if client.is_alive():
            client.shutdown()
            wait_until(lambda: not processes.of_stack(identity), _STOP_SECONDS, step=0.2)
        processes.end_stack(identity, _ORPHAN_GRACE)
        remove(paths.supervisor)
        remove(socket)
        remove_if_empty(socket.parent)

    def _text(self, inputs: SupervisorInputs, socket: Path) -> str:
        paths = StackPaths(inputs.root)
        return supervisor_text(self.identity(inputs), socket, paths.supervisor, paths.logs)


def module_path(*modules: str) -> str:
    """`PYTHONPATH` on which a process of ours finds these packages, installed or in a checkout."""
    return os.pathsep.join(dict.fromkeys(_folders(modules)))


def supervisor_socket(root: Path) -> Path | None:
    """Socket of the stack's supervisor, if one was ever started."""
    return _recorded_socket(StackPaths(root))


def _folders(modules: Iterable[str]) -> Iterable[str]:
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ResourceError(f"the Python package {module} is missing", "", "install llmctl again")
        origin = Path(spec.origin)
        yield str(origin.parents[1] if origin.name == "__init__.py" else origin.parent)


def _configuration(paths: StackPaths) -> Path:
    return paths.supervisor / "supervisord.conf"


def _socket_record(paths: StackPaths) -> Path:
    """Remembers the socket: its folder may depend on the environment of the command that made it."""
    return paths.supervisor / "socket"


def _recorded_socket(paths: StackPaths) -> Path | None:
    try:
        return Path(_socket_record(paths).read_text().strip())
    except FileNotFoundError:
        return None


def _start(paths: StackPaths, socket: Path, identity: str) -> None:
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(_configuration(paths))]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        # It returns as soon as the daemon has opened its socket and gone into the background.
        done = subprocess.run(
            command,
            env={**environment, STACK_ID_VARIABLE: identity},
            cwd=paths.supervisor,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            timeout=_START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ResourceError("supervisord does not start", f"nothing after {_START_SECONDS:.0f} s") from error
    said = tuple(done.stdout.decode(errors="replace").splitlines()[-10:])
    if done.returncode or not wait_until(SupervisorClient(socket).is_alive, _START_SECONDS):
        raise ResourceError("supervisord does not start", said[-1] if said else "", evidence=said)
