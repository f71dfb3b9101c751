"""One operation at a time on a stack: a lease that the kernel ends when its owner dies.

The lease is a `flock` on a file that says, as JSON, who holds it. The owner clears the file when it is done; a
file that still names an owner although nobody holds the lock is *stale*: that owner was killed. The engine
process that it started is named too, so that it can be ended before anything else is done to the stack.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from llmctl_stacks.errors import LockedError, RefusedError
from llmctl_stacks.home import Home
from llmctl_stacks.results import LockStatus

_PROBE_SECONDS = 0.3  # a look at the lock holds it for an instant; whoever wants it must not give up over that
_POLL_SECONDS = 0.1
_PROBE_POLL_SECONDS = 0.01
_CLOCK_SLACK = 2.0  # two readings of a process's start time may differ by the clock's corrections
_ENGINE_PATIENCE = 30.0


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same number: `started` in seconds since 1970."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this number now; `started` is 0.0 when there is none."""
        import psutil

        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return cls(pid, 0.0)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_SLACK
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def end(self, patience: float) -> None:
        """Interrupt the process, and kill it with its session when it is not gone after `patience` seconds."""
        deadline = time.monotonic() + patience
        with suppress(ProcessLookupError):
            if self.alive:
                os.kill(self.pid, signal.SIGINT)
            while self.alive and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            if self.alive:
                os.killpg(self.pid, signal.SIGKILL)  # the engine leads a session of its own


@dataclass(frozen=True)
class Owner:
    """What the lock file says.

    Attributes:
        user: login name.
        host: host name.
        process: the llmctl that holds the lock.
        verb: what it runs.
        taken_at: ISO 8601 in UTC.
        engine: the engine that it started, once it has.
    """

    user: str
    host: str
    process: ProcessId
    verb: str
    taken_at: str
    engine: ProcessId | None = None

    @property
    def name(self) -> str:
        """`user@host pid N`."""
        return f"{self.user}@{self.host} pid {self.process.pid}"

    @property
    def age(self) -> float:
        """Seconds since the lock was taken."""
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.taken_at)).total_seconds())


class StackLock:
    """The lock of one stack."""

    def __init__(self, home: Home, project: str, stack: str) -> None:
        self._path = home.lock(project, stack)
        self._stack = stack

    def acquire(
        self, verb: str, wait_seconds: float = 0.0, on_wait: Callable[[LockStatus], None] = lambda _: None
    ) -> Lease:
        """Take the lock, waiting up to `wait_seconds` for its owner to end.

        Before it is granted, an engine that a killed owner left behind is ended: whoever has the lock may rely on
        being alone.

        Args:
            verb: what the lock is for.
            wait_seconds: how long to wait.
            on_wait: told once who holds the lock, when it has to wait.

        Raises:
            LockedError: when another operation still holds it; names its owner, verb and age.
        """
        started = time.monotonic()
        deadline = started + max(wait_seconds, _PROBE_SECONDS)
        told = wait_seconds <= 0.0
        while True:
            if (descriptor := self._try()) is not None:
                return Lease(descriptor, verb)
            if not told and (status := self.status()).held:
                on_wait(status)
                told = True
            if time.monotonic() >= deadline:
                raise self._locked()
            probing = time.monotonic() < started + _PROBE_SECONDS
            time.sleep(_PROBE_POLL_SECONDS if probing else _POLL_SECONDS)

    def status(self) -> LockStatus:
        """Who holds the lock, or held it when it was killed. Takes nothing, ends nothing."""
        if not self._path.exists():
            return LockStatus(self._stack, held=False)
        descriptor = self._try()
        if descriptor is None:
            return _status(self._stack, self._owner(), held=True)
        try:
            return _status(self._stack, _read(descriptor), held=False)
        finally:
            os.close(descriptor)

    def release(self, *, force: bool = False) -> LockStatus:
        """Clear what a killed owner left, and end its engine; with `force`, take the lock from a living one too.

        A living owner is not stopped; it only does not hold the stack any more.

        Raises:
            RefusedError: when the owner is alive and `force` is not given.
        """
        descriptor = self._try()
        if descriptor is not None:
            Lease(descriptor, "lock release").release()
        elif force:
            self._path.unlink(missing_ok=True)  # the owner keeps its file, which is nobody's lock now
        else:
            status = self.status()
            raise RefusedError(
                f"the lock of {self._stack} is in use",
                f"{status.owner or 'its owner'} is running `{status.verb or 'an operation'}`",
                "wait for it to end, or stop it; `--force` takes the lock from it",
            )
        return self.status()

    def _try(self) -> int | None:
        """The lock's file, open and locked; None when another holds it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                return None
            except FileNotFoundError:
                pass
            os.close(descriptor)  # taken away by force between opening and locking: look again

    def _owner(self) -> Owner | None:
        with suppress(OSError), self._path.open("rb") as file:
            return _read(file.fileno())
        return None

    def _locked(self) -> LockedError:
        status = self.status()
        owner, verb = status.owner or "another process", status.verb or "an operation"
        since = "" if status.age_seconds is None else f" for {status.age_seconds:.0f} s"
        return LockedError(
            f"stack {self._stack} is locked",
            f"{owner} is running `{verb}`{since}",
            "wait for it (`--lock-wait`), or see `llmctl lock status`",
            owner=status.owner,
            verb=status.verb,
            age_seconds=status.age_seconds,
        )


class Lease:
    """A lock that is held; a context manager that gives it back.

    Attributes:
        previous: the owner that was killed while it held the lock, or None. Its engine has been ended.
    """

    def __init__(self, descriptor: int, verb: str) -> None:
        self._descriptor = descriptor
        self.previous = _read(descriptor)
        if self.previous is not None and self.previous.engine is not None:
            self.previous.engine.end(_ENGINE_PATIENCE)
        self._owner = Owner(
            _user(),
            socket.gethostname(),
            ProcessId.of(os.getpid()),
            verb,
            datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        _write(descriptor, self._owner)

    def record_engine(self, pid: int) -> None:
        """Note the process of the engine, for whoever comes after us if we are killed."""
        self._owner = replace(self._owner, engine=ProcessId.of(pid))
        _write(self._descriptor, self._owner)

    def release(self) -> None:
        """Give the lock back; doing it again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return f"uid-{os.getuid()}"


def _status(stack: str, owner: Owner | None, *, held: bool) -> LockStatus:
    if owner is None:
        return LockStatus(stack, held)
    return LockStatus(stack, held, owner.name, owner.verb, owner.age, stale=not held)


def _read(descriptor: int) -> Owner | None:
    try:
        values: dict[str, Any] = json.loads(os.pread(descriptor, 65536, 0))
        engine = values.pop("engine")
        process = ProcessId(**values.pop("process"))
        return Owner(**values, process=process, engine=engine and ProcessId(**engine))
    except (ValueError, KeyError, TypeError):
        return None  # empty, or being written at this moment


def _write(descriptor: int, owner: Owner) -> None:
    text = json.dumps(asdict(owner)).encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
