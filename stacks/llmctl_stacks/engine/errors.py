"""Translates how the engine failed into the errors of llmctl: what failed, why, and the next command.

The CLI's exit codes are coarse (pulumi/pulumi, `pkg/cmd/pulumi/cmd/exit_codes.go`), so its last words count too.
What a provider of ours said comes first: it knows the cause and the cure; the engine repeats one line of it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from llmctl_infra.errors import ResourceError
from llmctl_stacks.engine.events import Event
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import (
    DeployError,
    EngineMissing,
    Interrupted,
    LlmctlError,
    LockedError,
    NotFoundError,
    PreflightError,
    ResourceFailure,
)

_CANCELLED = 8
_INTERNAL = 255
_LAST_LINES = 8
_EMPTY = re.compile(r"(update|preview|refresh|destroy) failed")
_ECHO = re.compile(r"^(sdk-v\d\S*|error|rpc error): ?")


@dataclass(frozen=True)
class Evidence:
    """All that is known of an operation that failed.

    Attributes:
        spec: the stack.
        code: exit code of the CLI; negative for the signal that ended it.
        stderr: what the CLI wrote to stderr and stdout.
        diagnostics: warnings and errors, in order.
        failures: what the attached providers raised, by URN.
        program: what the program raised, or None.
    """

    spec: StackSpec
    code: int
    stderr: str = ""
    diagnostics: Sequence[Event] = ()
    failures: Mapping[str, ResourceError] = field(default_factory=dict)
    program: BaseException | None = None


def classify(evidence: Evidence) -> LlmctlError:
    """The one error that says why the operation failed."""
    if evidence.program is not None:
        return _program(evidence.spec, evidence.program)
    if evidence.failures:
        return _resources(evidence)
    said = "\n".join((evidence.stderr, *(item.message for item in evidence.diagnostics)))
    for pattern, error in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE):
            return error(evidence.spec, said)
    if evidence.code == _CANCELLED:
        return _interrupted(evidence.spec, said)
    return _unknown(evidence)


def _program(spec: StackSpec, raised: BaseException) -> LlmctlError:
    if isinstance(raised, LlmctlError):
        return raised
    if isinstance(raised, ResourceError):
        return DeployError(raised.what, raised.why, raised.fix)
    frames = "".join(traceback.format_exception(raised))
    return LlmctlError(
        f"the program of {spec} failed",
        f"{type(raised).__name__}: {raised}",
        "report this defect",
        traceback=frames,
    )


def _resources(evidence: Evidence) -> DeployError:
    failures = [
        ResourceFailure(urn, error.what, error.why, error.fix, error.evidence)
        for urn, error in evidence.failures.items()
    ]
    names = [failure.urn.split("::", 3)[-1] for failure in failures]
    details = [asdict(failure) for failure in failures]
    if len(failures) == 1:
        only = failures[0]
        return DeployError(f"{names[0]}: {only.what}", only.why, only.fix, failures=details)
    why = "\n".join(
        f"{name}: {failure.what}" + (f": {failure.why}" if failure.why else "")
        for name, failure in zip(names, failures, strict=True)
    )
    fixes = dict.fromkeys(failure.fix for failure in failures if failure.fix)
    return DeployError(
        f"{len(failures)} resources of {evidence.spec} failed", why, "; ".join(fixes), failures=details
    )


def _locked(spec: StackSpec, said: str) -> LlmctlError:
    holders = re.findall(r"created by (\S+) \(pid (\d+)\) at (\S+)", said)
    why = "; ".join(f"{owner} pid {pid} since {since}" for owner, pid, since in holders)
    return LockedError(f"the state of {spec} is locked", why, "llmctl recover")


def _interrupted(spec: StackSpec, said: str) -> LlmctlError:
    del said
    return Interrupted(f"the operation on {spec} was interrupted", fix="llmctl recover")


def _passphrase(spec: StackSpec, said: str) -> LlmctlError:
    del said
    return PreflightError(
        f"the secrets in the state of {spec} cannot be read",
        "they are encrypted with another passphrase",
        "set LLMCTL_PASSPHRASE to the one that this stack was made with, or restore the file `passphrase`",
    )


def _no_stack(spec: StackSpec, said: str) -> LlmctlError:
    del said
    return NotFoundError(f"{spec} does not exist", fix="llmctl up")


def _integrity(spec: StackSpec, said: str) -> LlmctlError:
    found = re.search(r"integrity (?:failure|error)[^:\n]*: (.*)", said)
    return DeployError(
        f"the state of {spec} is damaged", found[1] if found else _last_lines(said), "llmctl recover"
    )


def _plugin(spec: StackSpec, said: str) -> LlmctlError:
    return PreflightError(f"the engine lacks a provider that {spec} needs", _last_lines(said), "llmctl doctor")


def _lost_provider(spec: StackSpec, said: str) -> LlmctlError:
    return DeployError(f"a provider of {spec} went away", _last_lines(said), "run the command again")


def _crashed(spec: StackSpec, said: str) -> LlmctlError:
    return LlmctlError(f"the engine crashed on {spec}", _last_lines(said), "llmctl recover")


def _version(spec: StackSpec, said: str) -> LlmctlError:
    return EngineMissing(f"the engine is too old for {spec}", _last_lines(said), "llmctl doctor --fix")


_KNOWN = (
    (r"currently locked by|another update is currently in progress", _locked),
    (r"incorrect passphrase|passphrase must be set|decrypt(ing)?.*message authentication failed", _passphrase),
    (r"no stack named", _no_stack),
    (r"snapshot integrity", _integrity),
    (r"newer than what this version of|unsupported (checkpoint|deployment) version", _version),
    (r"no resource plugin|could not find plugin|failed to load .*plugin", _plugin),
    (r"transport is closing|connection refused|error reading from server|code = Unavailable", _lost_provider),
    (r"panic: |fatal error: |goroutine \d+ \[", _crashed),
    (r"update cancell?ed|operation cancell?ed|cancell?ed by (the )?user", _interrupted),
)


def _unknown(evidence: Evidence) -> LlmctlError:
    errors = [
        item for item in evidence.diagnostics if item.severity == "error" and not _EMPTY.fullmatch(item.message)
    ]
    told = "\n".join(f"{item.name}: {item.message}" if item.name else item.message for item in errors)
    why = told or _last_lines(evidence.stderr) or f"the engine ended with code {evidence.code} and said nothing"
    if evidence.code < 0:
        return DeployError(
            f"the engine was killed on {evidence.spec}", f"signal {-evidence.code}", "llmctl recover"
        )
    if evidence.code == _INTERNAL:
        return LlmctlError(f"the engine failed on {evidence.spec}", why, "report this defect")
    return DeployError(f"the operation on {evidence.spec} failed", why)


def _last_lines(text: str) -> str:
    lines = [_ECHO.sub("", line.strip()) for line in text.splitlines()]
    return "\n".join([line for line in lines if line][-_LAST_LINES:])
