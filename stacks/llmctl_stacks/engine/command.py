"""Runs the Pulumi CLI in a process of its own, so that a signal to llmctl does not break it off.

Pulumi's own `PulumiCommand` starts the CLI in llmctl's process group with pipes: on Ctrl-C both get the signal,
llmctl closes the pipes, and the CLI dies in the middle of an update. Here the CLI leads its own session, writes to
files, and is told to stop by `interrupt`. Nothing secret is ever on its command line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

_TIED = """
import ctypes, os, sys
ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
        code: its exit code; negative for the signal that ended it.
        stdout: what it wrote.
        stderr: what it complained about.
        seconds: how long it ran.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float


class EngineCommand:
    """The CLI, ready to run in one work folder with one environment.

    Args:
        cli: the Pulumi CLI.
        folder: work folder; the output of the latest command stays there in `engine.out` and `engine.err`.
        environment: all variables that the CLI gets.
        tied: the CLI must not outlive llmctl, because the providers of its resources live in llmctl's process:
            it could only fail their steps, and would forget a create that had begun. Killed with llmctl it leaves
            the create pending in the state, where recovery finds it. Not always: the kernel closes llmctl's
            sockets first, and an engine that is quick may fail the step in between. The providers' creates are
            idempotent by name for that case too. Linux only; elsewhere this has no effect.
        on_start: called with the process id once the CLI runs.
    """

    def __init__(
        self,
        cli: Path,
        folder: Path,
        environment: Mapping[str, str],
        tied: bool = False,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._cli = cli
        self._folder = folder
        self._environment = dict(environment)
        self._tied = tied and sys.platform == "linux"
        self._on_start = on_start
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._halted = False

    def run(self, arguments: Sequence[str]) -> CommandResult:
        """Run `pulumi --non-interactive <arguments>` to its end; a failure is an exit code, not an exception.

        Raises:
            OSError: when the CLI cannot be started.
        """
        started = time.monotonic()
        command = [str(self._cli), "--non-interactive", *arguments]
        if self._tied:
            command = [sys.executable, "-ISE", "-c", _TIED, str(os.getpid()), *command]
        out, err = self._folder / "engine.out", self._folder / "engine.err"
        with _private(out) as stdout, _private(err) as stderr, self._lock:
            if self._halted:
                return CommandResult(-signal.SIGINT, "", "", 0.0)
            process = self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                umask=0o077,
            )
        try:
            self._on_start(process.pid)
            code = process.wait()
        finally:
            if process.poll() is None:  # only when something was raised here
                self.kill()
                process.wait()
            with self._lock:
                self._process = None
        return CommandResult(code, _text(out), _text(err), time.monotonic() - started)

    def interrupt(self) -> None:
        """Ask the CLI to wind down: running steps finish, none begins. A second time it stops at once.

        A command that is only about to run does not begin.
        """
        with self._lock:
            self._halted = True
            if self._process is not None:
                self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the CLI and whatever it started, now. What it was doing stays pending in the state."""
        with self._lock, suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)


def _private(path: Path) -> BinaryIO:
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()
