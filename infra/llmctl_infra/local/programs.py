"""What the supervisor is told, as text: its own configuration and one file per program."""

from __future__ import annotations

import math
import os
import re
import resource
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmctl_infra.errors import ResourceError

_UNSPEAKABLE = re.compile("[;#\"'\x00-\x1f]")  # comments, quotes and control characters of the format
_MOST_FILES = 16_384


@dataclass(frozen=True)
class Program:
    """A process that the supervisor keeps alive.

    Attributes:
        name: unique in the stack.
        command: program and arguments; no secret among them.
        folder: working directory.
        stdout: log file of standard output.
        stderr: log file of standard error; None joins it to standard output.
        environment: variables besides the supervisor's own; no secret among them.
        stop_seconds: time between SIGTERM and SIGKILL.
        log_max_bytes: size at which a log is rotated.
        log_keep: rotated logs to keep.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    stdout: Path
    stderr: Path | None
    stop_seconds: float
    log_max_bytes: int
    log_keep: int
    environment: Mapping[str, str] = field(default_factory=dict)


def program_text(program: Program) -> str:
    """The program's file.

    A process that dies is started again at once, one that dies within its first second after a pause that
    grows by a second each time; after ten of those the supervisor gives it up (FATAL).
    """
    variables = ",".join(f'{name}="{_value(value)}"' for name, value in sorted(program.environment.items()))
    lines = {
        "command": shlex.join(map(_checked, program.command)).replace("%", "%%"),
        "directory": _value(program.folder),
        "environment": variables,
        "autostart": "true",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "10",
        "stopsignal": "TERM",
        "stopwaitsecs": str(math.ceil(program.stop_seconds)),
        "killasgroup": "true",
        "redirect_stderr": "false" if program.stderr else "true",
        **_log("stdout", program.stdout, program),
        **(_log("stderr", program.stderr, program) if program.stderr else {}),
    }
    return _section(f"program:{program.name}", lines)


def supervisor_text(identifier: str, socket: Path, folder: Path, logs: Path) -> str:
    """The supervisor's own configuration.

    Args:
        identifier: name that it gives itself.
        socket: Unix socket of its XML-RPC interface.
        folder: its folder.
        logs: folder of its log.
    """
    root = {"user": "root"} if os.getuid() == 0 else {}  # it asks root to say so
    daemon = {
        "identifier": _value(identifier),
        "logfile": _value(logs / "supervisor.log"),
        "logfile_maxbytes": str(1 << 20),
        "logfile_backups": "2",
        "pidfile": _value(folder / "supervisord.pid"),
        "childlogdir": _value(logs),
        "directory": _value(folder),
        "umask": "077",
        "minfds": str(_files()),
        **root,
    }
    return (
        _section("unix_http_server", {"file": _value(socket), "chmod": "0600"})
        + _section("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": _FACTORY})
        + _section("supervisord", daemon)
        + _section("include", {"files": _value(folder / "programs" / "*.conf")})
    )


_FACTORY = "supervisor.rpcinterface:make_main_rpcinterface"


def _log(stream: str, path: Path, program: Program) -> dict[str, str]:
    return {
        f"{stream}_logfile": _value(path),
        f"{stream}_logfile_maxbytes": str(program.log_max_bytes),
        f"{stream}_logfile_backups": str(program.log_keep),
    }


def _section(name: str, lines: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines.items()), "", ""])


def _value(text: object) -> str:
    return _checked(str(text)).replace("%", "%%")


def _checked(text: str) -> str:
    if _UNSPEAKABLE.search(text):
        raise ResourceError(
            f"{text!r} cannot be written into the supervisor's configuration",
            "quotes, semicolons, number signs and control characters have a meaning there",
            "use a path without them",
        )
    return text


def _files() -> int:
    """Open files that the supervisor and its children may have: many connections, but no more than allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
