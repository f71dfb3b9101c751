"""Ports on this machine: which are free, who holds one, and which to take."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from llmctl_infra.errors import ResourceError

GATEWAY_PORTS = range(8080, 8100)
SERVER_PORTS = range(20_000, 30_000)
"""Below what Linux and macOS give to outgoing connections, so that a server finds its port free again."""


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # What servers set too: without it, a port that was in use a moment ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise ResourceError(
                f"cannot listen on {host}", error.strerror or str(error), "use an address of this machine"
            ) from error
    return True


def choose(host: str, candidates: Iterable[int], avoid: frozenset[int] = frozenset()) -> int:
    """The first free port among `candidates`, else any free one.

    Args:
        host: address to listen on.
        candidates: ports to try, best first.
        avoid: ports that are spoken for.
    """
    for port in candidates:
        if port not in avoid and is_free(host, port):
            return port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def choosing() -> Iterator[None]:
    """Let one gateway at a time choose a port and begin to listen on it.

    Envoy's threads share a port (SO_REUSEPORT), and so would two Envoys of one user, each with half of the
    other's requests: the second one must not look before the first one listens.

    Raises:
        ResourceError: when the lock file cannot be used.
    """
    path = Path(tempfile.gettempdir()) / f"llmctl-{os.getuid()}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ResourceError(
            f"cannot lock {path}", error.strerror or str(error), "remove it, or set TMPDIR"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_listening(host: str, port: int, seconds: float = 1.0) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def holder(port: int) -> str:
    """Who listens on a port, in words; other users' processes may stay unnamed."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return _describe(connection.pid)
    except psutil.Error:
        pass  # macOS shows other processes' connections to root only
    return "another process"


def require_free(host: str, port: int) -> None:
    """Make sure that a server could listen on the port.

    Raises:
        ResourceError: when not; it names the process that is in the way.
    """
    if not is_free(host, port):
        raise ResourceError(
            f"port {port} on {host} is taken",
            f"{holder(port)} listens there",
            "stop that process, or set another `gateway.port` (0 lets llmctl choose)",
        )


def _describe(pid: int | None) -> str:
    if pid is None:
        return "another user's process"
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"
