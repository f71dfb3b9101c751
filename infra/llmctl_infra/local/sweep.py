"""After `down`: is anything left of a stack, and away with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmctl_infra.local import ports, processes
from llmctl_infra.local.files import remove, remove_if_empty
from llmctl_infra.local.paths import StackPaths

_GRACE = 10.0


def sweep(stack_id: str, root: Path, grace: float = _GRACE) -> tuple[str, ...]:
    """End every process of the stack and remove its sockets.

    Args:
        stack_id: `names.stack_id`.
        root: folder of the stack.
        grace: seconds between asking and forcing.

    Returns:
        What was ended and removed, one description each; empty when nothing was left.
    """
    ended = processes.end_stack(stack_id, grace)
    sockets = _sockets(root)
    for socket in sockets:
        remove(socket)
    remove_if_empty(StackPaths(root).sockets)
    return (*ended, *(f"socket {socket}" for socket in sockets))


def leftovers(stack_id: str, root: Path, addresses: Iterable[tuple[str, int]] = ()) -> tuple[str, ...]:
    """What is left of a stack that should be gone, one description each; empty when nothing is.

    Args:
        stack_id: `names.stack_id`.
        root: folder of the stack.
        addresses: hosts and ports that the stack's outputs named.
    """
    living = (processes.describe(process) for process in processes.of_stack(stack_id))
    open_ports = (
        f"port {port} on {host}, where {ports.holder(port)} listens"
        for host, port in addresses
        if ports.is_listening(host, port)
    )
    return (*living, *open_ports, *(f"socket {socket}" for socket in _sockets(root)))


def _sockets(root: Path) -> tuple[Path, ...]:
    folder = StackPaths(root).sockets
    return tuple(sorted(path for path in folder.iterdir() if path.is_socket())) if folder.is_dir() else ()
