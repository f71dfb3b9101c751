"""The command line over one stateful fake of the verbs, in a folder, a home and an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmctl.app import app
from llmctl.console import Console
from llmctl_stacks import lifecycle, results
from llmctl_stacks.engine.events import Event
from llmctl_stacks.errors import NotFoundError
from llmctl_stacks.lifecycle import Observer, Options

AT = "2030-01-02T03:04:05.678Z"
URN = "urn:pulumi:local::demo-serve::llmctl:local:Gateway::gateway"
ENDPOINT = results.Endpoint(
    url="http://127.0.0.1:8080",
    model="attention",
    key_path="/home/ada/keys/default",
    path="/v1/classify",
    body='{"text": "It\'s a joy"}',
)
CHANGES = (
    results.ResourceChange("base", "llmctl:local:KmsKey", "data", "same"),
    results.ResourceChange("serve", "llmctl:local:Servers", "servers", "create", seconds=1.25),
    results.ResourceChange("serve", "llmctl:local:Gateway", "gateway", "update", ("port",), 0.5),
)


def resource(state: Any, operation: Any = "update", **more: Any) -> Event:
    """One step of the gateway."""
    return Event(
        "resource",
        AT,
        layer="serve",
        state=state,
        urn=URN,
        type="llmctl:local:Gateway",
        name="gateway",
        operation=operation,
        **more,
    )


EVENTS = (
    Event("phase", AT, message="serve", state="running"),
    resource("running"),
    resource("done", seconds=0.5, keys=("port",)),
    Event("diagnostic", AT, layer="serve", message="the port is taken", severity="warning", name="gateway"),
    Event("phase", AT, message="serve", state="done", seconds=2.0),
)


@dataclass
class FakeLifecycle:
    """Stacks in memory, with the verbs as methods.

    Attributes:
        running: names of the stacks that are up.
        held: whether a dead operation holds the stack.
        failure: raised by the next verb instead of doing anything.
        asked: every call: verb, stack and the rest.
        sent: bodies of `invoke`.
        clean: False leaves a process over after `down`.
    """

    running: set[str] = field(default_factory=set)
    held: bool = False
    failure: BaseException | None = None
    asked: list[tuple[str, Options, dict[str, object]]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    clean: bool = True
    reply: results.Answer = field(
        default_factory=lambda: results.Answer(200, {"label": "positive", "score": 0.98}, "r-1", 12.4)
    )

    def _begin(self, verb: str, options: Options, **more: object) -> str:
        self.asked.append((verb, options, more))
        if self.failure is not None:
            raise self.failure
        if options.stack not in (None, "local", "dev"):
            raise NotFoundError(f"no stack {options.stack!r}", "stacks here: dev, local", "llmctl init")
        return options.stack or "local"

    def _tell(self, observe: Observer) -> None:
        for event in EVENTS:
            observe(event)

    def stacks(self, options: Options) -> tuple[str, ...]:
        return ("dev", "local")

    def init(self, directory: Path, *, name: str | None = None) -> tuple[Path, ...]:
        self._begin("init", Options(), directory=directory, name=name)
        return (directory / "llmctl.yaml", directory / "stacks" / "local.yaml")

    def up(self, options: Options, observe: Observer) -> results.Update:
        stack = self._begin("up", options)
        self._tell(observe)
        self.running.add(stack)
        answer: dict[str, object] = {"label": "positive", "score": 0.98}
        healed = ("server-1-0 had crashed and was started again",)
        return results.Update(stack, "local", CHANGES, ENDPOINT, {"url": ENDPOINT.url}, healed, answer, 12.34)

    def preview(self, options: Options, observe: Observer) -> results.Preview:
        stack = self._begin("preview", options)
        changes = CHANGES[:1] if stack in self.running else CHANGES
        risks = () if stack in self.running else (results.Risk("gateway", "requests wait up to 1 s"),)
        return results.Preview(stack, "local", changes, risks, 0.8)

    def down(self, options: Options, observe: Observer, *, all_layers: bool, force: bool) -> results.Teardown:
        stack = self._begin("down", options, all_layers=all_layers, force=force)
        self.running.discard(stack)
        gone = (results.ResourceChange("serve", "llmctl:local:Gateway", "gateway", "delete", seconds=0.2),)
        kept = () if all_layers else ("data", "models")
        left, swept = ((), ()) if self.clean else (("port 8080",), ("envoy pid 77",))
        return results.Teardown(stack, gone, kept, left, 3.0, swept)

    def status(self, options: Options) -> results.Status:
        stack = self._begin("status", options)
        if stack not in self.running:
            return results.Status(stack, "local", "absent", None, (), 0, (), None)
        replicas = (
            results.ReplicaStatus("gateway", "gateway", "ready", 11, "127.0.0.1:8080", 3725.0),
            results.ReplicaStatus(
                "server", "server-1-0", "crashed", restarts=3, reason="line one\nout of \x1b[31mmemory"
            ),
        )
        return results.Status(stack, "local", "degraded", ENDPOINT, replicas, 8, ("create gateway",), "ada pid 7")

    def outputs(self, options: Options) -> dict[str, object]:
        self._begin("outputs", options)
        return {"url": "http://127.0.0.1:8080", "replicas": 2, "apiKey": "***"}

    def logs(self, options: Options, **filters: object) -> Iterator[results.LogLine]:
        self._begin("logs", options, **filters)
        yield results.LogLine("server", "server-1-0", "2030-01-02T03:04:05Z", "ready on port 9001")
        yield results.LogLine("gateway", "gateway", None, "GET /\x1b]0;title\x07 200")

    def invoke(self, options: Options, body: bytes) -> results.Answer:
        self._begin("invoke", options)
        self.sent.append(body)
        return self.reply

    def refresh(self, options: Options, observe: Observer) -> results.Drift:
        return replace(self.drift(options, observe), duration_seconds=0.5)

    def drift(self, options: Options, observe: Observer) -> results.Drift:
        stack = self._begin("drift", options)
        items = (results.DriftItem("serve", "llmctl:local:Gateway", "gateway", "changed", ("port", "url")),)
        return results.Drift(stack, items if stack in self.running else (), 0.4)

    def recover(self, options: Options, observe: Observer) -> results.Recovery:
        stack = self._begin("recover", options)
        actions = ("dropped the lock of a dead `up`",) if self.held else ()
        self.held = False
        return results.Recovery(stack, actions)

    def lock_status(self, options: Options) -> results.LockStatus:
        stack = self._begin("lock status", options)
        if not self.held:
            return results.LockStatus(stack, held=False)
        return results.LockStatus(stack, held=True, owner="ada@box pid 7", verb="up", age_seconds=61.0, stale=True)

    def lock_release(self, options: Options, *, force: bool) -> results.LockStatus:
        stack = self._begin("lock release", options, force=force)
        self.held = False
        return results.LockStatus(stack, held=False)

    def doctor(self, options: Options, observe: Observer, *, fix: bool) -> results.Diagnosis:
        self._begin("doctor", options, fix=fix)
        python = results.Check("python", "ok", "3.11.7")
        disk = results.Check("disk", "warning", "1 GB free", "free some space")
        if fix:
            return results.Diagnosis(
                (python, disk, results.Check("engine", "ok", "3.259.0")), ("installed the engine",)
            )
        return results.Diagnosis((python, disk, results.Check("engine", "failed", "none", "llmctl doctor --fix")))


Llmctl = Callable[..., Result]


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two stacks as the working folder; nothing of the user's own environment."""
    for name in list(os.environ):
        if name.startswith(("LLMCTL_", "PULUMI_")) or name in ("NO_COLOR", "CI", "FORCE_COLOR", "TERM"):
            monkeypatch.delenv(name)
    project = tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    (project / "llmctl.yaml").write_text("schema: 1\nname: demo\ntarget: local\nmodels:\n- name: attention\n")
    for stack in ("dev", "local"):
        (project / "stacks" / f"{stack}.yaml").write_text("gateway:\n  timeout: 20s\n")
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeLifecycle:
    """The verbs that the command line calls."""
    fake = FakeLifecycle()
    for name in lifecycle.__all__:
        if hasattr(FakeLifecycle, name):
            monkeypatch.setattr(lifecycle, name, getattr(fake, name))
    return fake


@pytest.fixture
def llmctl(fake: FakeLifecycle) -> Llmctl:
    """Run a command line; gives stdout, stderr and the exit code."""
    runner = CliRunner()

    def run(*args: str, **more: Any) -> Result:
        return runner.invoke(app, list(args), **more)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who can be asked."""
    monkeypatch.setattr(Console, "can_ask", property(lambda self: True))
