"""The processes of a stack, found by the mark that each of them carries in its environment."""

from __future__ import annotations

import os
from collections.abc import Iterable

import psutil

from llmctl_infra.local.waiting import wait_until
from llmctl_infra.names import STACK_ID_VARIABLE

_ROUNDS = 5
_FORCED_SECONDS = 5.0


def of_stack(stack_id: str) -> tuple[psutil.Process, ...]:
    """All living processes that a stack has started, oldest first; never this one."""
    return tuple(
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _environment(process).get(STACK_ID_VARIABLE) == stack_id
    )


def end_stack(stack_id: str, grace: float) -> tuple[str, ...]:
    """End all processes of a stack, also those that a dying supervisor starts meanwhile.

    Returns:
        What was ended, one description each.
    """
    ended: list[str] = []
    for _ in range(_ROUNDS):
        if not (living := of_stack(stack_id)):
            break
        ended.extend(end(living, grace))
    return tuple(ended)


def end(processes: Iterable[psutil.Process], grace: float) -> tuple[str, ...]:
    """End processes: ask first, force what is left after `grace` seconds.

    Returns:
        What was ended, one description each.
    """
    ended = {process: describe(process) for process in processes}
    for process in ended:
        _signal(process, force=False)
    if not wait_until(lambda: all(map(_is_gone, ended)), grace):
        for process in ended:
            _signal(process, force=True)
        wait_until(lambda: all(map(_is_gone, ended)), _FORCED_SECONDS)
    return tuple(ended.values())


def describe(process: psutil.Process) -> str:
    """A process in words: its number and what it is."""
    try:
        name = _environment(process).get("SUPERVISOR_PROCESS_NAME") or process.name()
    except psutil.Error:
        name = "gone"
    return f"process {process.pid} ({name})"


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):  # of another user, or gone meanwhile
        return {}


def _is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; that nobody has asked for its exit status yet does not matter."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, *, force: bool) -> None:
    try:
        if force:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass
