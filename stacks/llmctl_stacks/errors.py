"""The error tree of llmctl, and the exit codes that scripts rely on.

::

    LlmctlError
    ├── UsageError         2  a flag or argument is wrong or missing
    ├── ConfigError        2  one or more problems in the YAML files, each with file and line
    ├── PreflightError     3  a tool, credential, port, quota or permission is missing; nothing was changed
    │   └── EngineMissing  3  the Pulumi CLI is absent or of another version
    ├── DeployError        4  an update failed; what served before still serves
    ├── RefusedError       7  a policy, budget or protection refuses
    ├── LockedError        8  another operation holds the stack
    ├── NotFoundError      9  no such stack, replica, component or output
    ├── LeftoversError    11  `down` finished but something is left
    ├── DeadlineError    124  `--timeout` was reached
    └── Interrupted      130  Ctrl-C or SIGTERM

Every error says what failed, why, and which command to run next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What a process that ran llmctl ends with."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    PREFLIGHT = 3
    DEPLOY_FAILED = 4
    ROLLED_BACK = 5
    GATE_FAILED = 6
    REFUSED = 7
    LOCKED = 8
    NOT_FOUND = 9
    CHANGES = 10
    LEFTOVERS = 11
    TIMEOUT = 124
    INTERRUPTED = 130


class LlmctlError(Exception):
    """Root of every error that a user can cause or cure.

    Attributes:
        what: what failed, one line, no full stop.
        why: the cause, possibly several lines; empty when `what` says it all.
        fix: the next command or edit; empty when there is none.
        details: extra facts for `--output json`, never secrets.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, what: str, why: str = "", fix: str = "", **details: Any) -> None:
        super().__init__(what if not why else f"{what}: {why}")
        self.what = what
        self.why = why
        self.fix = fix
        self.details = details


class UsageError(LlmctlError):
    """Raised when a flag or an argument is wrong or missing."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a configuration file.

    Attributes:
        file: path as the user would type it, or None for a problem of no single file.
        line: 1-based, or None when there is no single line.
        key: dotted path with list indexes, such as `gateway.rate_limits[0].rps`; empty for the whole file.
        message: what is wrong with the value.
        hint: a did-you-mean or another cure; may be empty.
    """

    file: Path | None
    line: int | None
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """`stacks/prod.yaml:14: gateway.rate_limits[0].rps: must be > 0; did you mean …?`."""
        place = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        key = f"{self.key}: " if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}{key}{self.message}{hint}"


class ConfigError(LlmctlError):
    """Raised once with every problem found in a stack's files."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: tuple[Problem, ...], fix: str = "") -> None:
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        super().__init__(
            f"configuration has {count}",
            "\n".join(str(problem) for problem in problems),
            fix,
            problems=[
                {
                    "file": None if p.file is None else str(p.file),
                    "line": p.line,
                    "key": p.key,
                    "message": p.message,
                    "hint": p.hint,
                }
                for p in problems
            ],
        )
        self.problems = problems


class PreflightError(LlmctlError):
    """Raised before anything is changed: a tool, port, permission or credential is missing."""

    exit_code = ExitCode.PREFLIGHT


class EngineMissing(PreflightError):
    """Raised when no usable Pulumi CLI can be found, installed or built."""


class DeployError(LlmctlError):
    """Raised when an update failed; the details name the resources."""

    exit_code = ExitCode.DEPLOY_FAILED


class RefusedError(LlmctlError):
    """Raised when a protection, policy or budget refuses the operation."""

    exit_code = ExitCode.REFUSED


class LockedError(LlmctlError):
    """Raised when another operation holds the stack; the message names its owner and age."""

    exit_code = ExitCode.LOCKED


class NotFoundError(LlmctlError):
    """Raised when a stack, replica, component or output does not exist."""

    exit_code = ExitCode.NOT_FOUND


class LeftoversError(LlmctlError):
    """Raised when `down` finished but a process, port or billable thing is left."""

    exit_code = ExitCode.LEFTOVERS


class DeadlineError(LlmctlError):
    """Raised when `--timeout` was reached."""

    exit_code = ExitCode.TIMEOUT


class Interrupted(LlmctlError):
    """Raised after Ctrl-C or SIGTERM, once the engine has wound down."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class ResourceFailure:
    """Why one resource could not be created, updated or deleted.

    Attributes:
        urn: the engine's name of the resource.
        what: what failed, in the words of the provider.
        why: the cause.
        fix: what to do next; may be empty.
        evidence: the last lines of a log, oldest first.
    """

    urn: str
    what: str
    why: str = ""
    fix: str = ""
    evidence: tuple[str, ...] = field(default=())
