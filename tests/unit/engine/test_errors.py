from __future__ import annotations

import pytest

from llmctl_infra.errors import ResourceError
from llmctl_stacks.engine.errors import Evidence, classify
from llmctl_stacks.engine.events import Event
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import (
    DeployError,
    EngineMissing,
    ExitCode,
    Interrupted,
    LlmctlError,
    LockedError,
    NotFoundError,
    PreflightError,
)

SPEC = StackSpec("demo", "serve", "local")
INTEGRITY = """error: The Pulumi CLI encountered a snapshot integrity error. This is a bug!
Error: getting snapshot: snapshot integrity failure; refusing to use it: a needs b, which is after it
Stack Trace:
goroutine 1 [running]:"""
LOCKED = """error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or \
delete the lock file with `pulumi cancel`.
  file:///x/0.json: created by eve@far (pid 7) at 2026-01-01T00:00:00Z"""


def _said(text: str, urn: str = "") -> Event:
    return Event("diagnostic", "t", message=text, severity="error", urn=urn, name=urn.split("::", 3)[-1])


@pytest.mark.parametrize(
    ("code", "stderr", "kind", "shown"),
    [
        (1, LOCKED, LockedError, "eve@far pid 7 since 2026-01-01T00:00:00Z"),
        (1, "error: update canceled", Interrupted, "interrupted"),
        (8, "", Interrupted, "interrupted"),
        (255, "error: getting secrets manager: incorrect passphrase", PreflightError, "another passphrase"),
        (6, "error: no stack named 'local' found", NotFoundError, "does not exist"),
        (255, INTEGRITY, DeployError, "damaged: a needs b, which is after it"),
        (255, "error: no resource plugin 'pulumi-resource-aws' found", PreflightError, "pulumi-resource-aws"),
        (1, "error: rpc error: code = Unavailable desc = transport is closing", DeployError, "went away"),
        (2, "panic: runtime error: index out of range", LlmctlError, "crashed"),
        (
            1,
            "error: the deployment is newer than what this version of the CLI understands",
            EngineMissing,
            "too old",
        ),
        (255, "error: something odd", LlmctlError, "something odd"),
        (1, "error: something odd", DeployError, "something odd"),
        (1, "", DeployError, "said nothing"),
        (-9, "", DeployError, "signal 9"),
    ],
)
def test_what_the_engine_says_becomes_one_error(
    code: int, stderr: str, kind: type[LlmctlError], shown: str
) -> None:
    error = classify(Evidence(SPEC, code, stderr))

    assert type(error) is kind
    assert shown in str(error)


def test_what_a_provider_raised_comes_first_and_whole() -> None:
    urn = "urn:pulumi:local::demo-serve::llmctl:local:Gateway::gateway"
    failure = ResourceError("port 80 is taken", "by nginx", "stop nginx", ("line 1", "line 2"))

    error = classify(Evidence(SPEC, 1, "error: transport is closing", [_said("port 80 …", urn)], {urn: failure}))

    assert isinstance(error, DeployError)
    assert (error.what, error.why, error.fix) == ("gateway: port 80 is taken", "by nginx", "stop nginx")
    assert error.details["failures"] == [
        {
            "urn": urn,
            "what": "port 80 is taken",
            "why": "by nginx",
            "fix": "stop nginx",
            "evidence": ("line 1", "line 2"),
        }
    ]


def test_several_failures_are_told_together_and_each_cure_once() -> None:
    failures = {
        f"urn:pulumi:local::demo-serve::t::{name}": ResourceError(f"{name} is full", why, "free some space")
        for name, why in (("a", "99 %"), ("b", ""))
    }

    error = classify(Evidence(SPEC, 1, failures=failures))

    assert error.what == "2 resources of demo-serve/local failed"
    assert error.why == "a: a is full: 99 %\nb: b is full"
    assert error.fix == "free some space"


def test_diagnostics_name_the_resource_and_leave_out_what_says_nothing() -> None:
    said = [_said("quota exceeded", "urn:pulumi:local::demo-serve::t::cluster"), _said("update failed")]

    error = classify(Evidence(SPEC, 1, "", said))

    assert error.why == "cluster: quota exceeded"


def test_an_error_of_ours_from_the_program_is_kept() -> None:
    raised = PreflightError("the bundle is damaged", fix="train again")

    assert classify(Evidence(SPEC, 1, "error: x", program=raised)) is raised


def test_a_resource_error_from_the_program_is_a_failed_deployment() -> None:
    error = classify(Evidence(SPEC, 1, program=ResourceError("no such bundle", "gone", "restore it")))

    assert isinstance(error, DeployError)
    assert (error.what, error.why, error.fix) == ("no such bundle", "gone", "restore it")


def test_a_defect_of_the_program_is_internal() -> None:
    error = classify(Evidence(SPEC, 1, program=ValueError("odd")))

    assert error.exit_code == ExitCode.INTERNAL
    assert "ValueError: odd" in error.why
    assert "ValueError: odd" in error.details["traceback"]
