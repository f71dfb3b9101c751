"""Runs one operation of the engine from its start to a report: preview, up, destroy, refresh, drift.

Each is a single start of the CLI (plus one the first time, to initialise the Pulumi stack): whether the stack
exists, and its outputs, are read from the checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack

from llmctl_infra.errors import ResourceError
from llmctl_stacks.engine import state
from llmctl_stacks.engine.command import CommandResult, EngineCommand
from llmctl_stacks.engine.errors import Evidence, classify
from llmctl_stacks.engine.events import Event, Normaliser
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.engine.tracker import Tracker
from llmctl_stacks.engine.workspace import engine_environment, open_workspace, prune_history
from llmctl_stacks.errors import DeadlineError, DeployError, Interrupted, LlmctlError
from llmctl_stacks.home import Home
from llmctl_stacks.results import DriftItem, ResourceChange

if TYPE_CHECKING:
    from llmctl_stacks.engine.language import Program
    from llmctl_stacks.engine.program import ProgramServer

Verb: TypeAlias = Literal["preview", "up", "destroy", "refresh", "drift"]
"""What the engine can do with a stack.

- `preview`: say what `up` would change; changes nothing.
- `up`: bring the stack to what the program says.
- `destroy`: remove every resource of the stack; the stack itself stays, empty.
- `refresh`: read what is really there into the state.
- `drift`: say what `refresh` would find; changes nothing.
"""

OnEvent: TypeAlias = Callable[[Event], None]

_ARGUMENTS: Mapping[Verb, Sequence[str]] = {
    "preview": ("preview",),
    "up": ("up", "--yes", "--skip-preview"),
    "destroy": ("destroy", "--yes", "--skip-preview"),
    "refresh": ("refresh", "--yes", "--skip-preview"),
    "drift": ("refresh", "--preview-only"),
}
_CHANGING: frozenset[Verb] = frozenset({"up", "destroy", "refresh"})


class Options(TypedDict, total=False):
    """How an operation runs.

    Attributes:
        refresh: read what is really there first; for `preview`, `up` and `destroy`.
        parallel: steps that may run at once; the engine's default is four for each core.
        failures: what the attached providers raise, by URN: `ProviderHost.failures`, which fills while they run.
        check: raise the error of an operation that failed (the default), instead of leaving it in the report.
    """

    refresh: bool
    parallel: int
    failures: Mapping[str, ResourceError]
    check: bool


@dataclass(frozen=True)
class OpReport:
    """How an operation ended.

    Attributes:
        verb: which operation.
        spec: of which stack.
        changes: what was done, or would be done, to each resource.
        drift: the resources that were not as recorded, where it refreshed.
        diagnostics: warnings and errors of the engine and of providers, in order.
        outputs: what the program exports, as recorded afterwards; secrets are masked.
        seconds: how long it took, with everything.
        code: exit code of the CLI.
        error: why it failed, or None.
    """

    verb: Verb
    spec: StackSpec
    changes: tuple[ResourceChange, ...]
    drift: tuple[DriftItem, ...]
    diagnostics: tuple[Event, ...]
    outputs: Mapping[str, Any]
    seconds: float
    code: int
    error: LlmctlError | None = None

    @property
    def result(self) -> Literal["succeeded", "failed", "interrupted"]:
        """How it ended, in a word."""
        if self.error is None:
            return "succeeded"
        return "interrupted" if isinstance(self.error, Interrupted | DeadlineError) else "failed"


@dataclass
class Engine:
    """The engine, for one user's home. One operation at a time.

    Attributes:
        home: where state and work folders are.
        cli: the Pulumi CLI.
        on_start: told the process id of every CLI that changes something: `Lease.record_engine`.
    """

    home: Home
    cli: Path
    on_start: Callable[[int], None] = lambda _: None
    _command: EngineCommand | None = field(default=None, init=False, repr=False)
    _stopped: LlmctlError | None = field(default=None, init=False, repr=False)

    def run(
        self,
        verb: Verb,
        spec: StackSpec,
        program: Program,
        providers: Mapping[str, int],
        on_event: OnEvent = lambda _: None,
        **options: Unpack[Options],
    ) -> OpReport:
        """Run one operation to its end: see `Verb`.

        Args:
            verb: which operation.
            spec: of which stack.
            program: declares the stack's resources; only `preview` and `up` run it, the others go by the state.
            providers: port of each attached provider by package name.
            on_event: gets every event, from another thread.
            options: see `Options`.

        Raises:
            LlmctlError: what `errors.classify` makes of a failure, unless `check` is false.
        """
        started = time.monotonic()
        self._admit(verb, spec)
        tracker, normalise = Tracker(), Normaliser(spec.layer)
        tracker.expect(resource.urn for resource in state.read(self.home, spec).resources)

        def receive(raw: Mapping[str, Any]) -> None:
            if (event := normalise(raw)) is not None:
                tracker.feed(event)
                on_event(event)

        result, server = self._execute(verb, spec, program, providers, receive, options)
        if verb in _CHANGING:
            prune_history(self.home, spec)
        error = None
        if result.code != 0:
            said = f"{result.stdout}\n{result.stderr}"
            failures = _failures_of(spec, options.get("failures", {}))
            evidence = Evidence(spec, result.code, said, tracker.diagnostics, failures, server.failure)
            error = self._stopped or classify(evidence)
        report = OpReport(
            verb,
            spec,
            tracker.changes,
            tracker.drift,
            tuple(tracker.diagnostics),
            state.read(self.home, spec).outputs,
            time.monotonic() - started,
            result.code,
            error,
        )
        if server.unheard is not None:
            raise server.unheard
        if error is not None and options.get("check", True):
            raise error
        return report

    def interrupt(self, why: LlmctlError) -> None:
        """Wind the running operation down: running steps finish, none begins. A second time it stops at once.

        The operation then ends with `why`, unless it was through already; a later one does not begin.
        """
        self._stopped = self._stopped or why
        if self._command is not None:
            self._command.interrupt()

    def check(self) -> None:
        """Raise what `interrupt` was given, if anything: nothing further should begin."""
        if self._stopped is not None:
            raise self._stopped

    def kill(self) -> None:
        """End the running CLI now; what it was doing stays pending in the state."""
        if self._command is not None:
            self._command.kill()

    def _execute(
        self,
        verb: Verb,
        spec: StackSpec,
        program: Program,
        providers: Mapping[str, int],
        receive: Callable[[Mapping[str, Any]], None],
        options: Options,
    ) -> tuple[CommandResult, ProgramServer]:
        from llmctl_stacks.engine.program import serve

        self._command = command = EngineCommand(
            self.cli,
            open_workspace(self.home, spec),
            engine_environment(self.home, providers),
            tied=bool(providers),
            on_start=self.on_start if verb in _CHANGING else lambda _: None,
        )
        try:
            self._initialise(spec, command)
            with serve(program, receive) as server:
                result = command.run([*_arguments(verb, spec, options), *_client(server.address)])
                server.drain()
        finally:
            self._command = None
        return result, server

    def _admit(self, verb: Verb, spec: StackSpec) -> None:
        """Refuse what must not begin.

        Raises:
            LlmctlError: what `interrupt` was given.
            DeployError: when a create was interrupted: the engine would make the resource a second time.
        """
        self.check()
        creating = [p.resource.name for p in state.read(self.home, spec).pending if p.kind == "creating"]
        if creating and verb in _CHANGING:
            raise DeployError(
                f"an earlier operation on {spec} was interrupted",
                f"creating {', '.join(creating)}",
                "llmctl recover",
            )

    def _initialise(self, spec: StackSpec, command: EngineCommand) -> None:
        if state.exists(self.home, spec):
            return
        result = command.run(["stack", "init", spec.stack, "--no-select", "--color", "never"])
        if result.code != 0 and not state.exists(self.home, spec):
            raise self._stopped or classify(Evidence(spec, result.code, result.stderr))


def _arguments(verb: Verb, spec: StackSpec, options: Options) -> list[str]:
    refresh = options.get("refresh", False) and verb in ("preview", "up", "destroy")
    parallel = options.get("parallel")
    return [
        *_ARGUMENTS[verb],
        "--stack",
        spec.stack,
        "--color",
        "never",
        *(("--refresh",) if refresh else ()),
        *(("--parallel", str(parallel)) if parallel else ()),
    ]


def _failures_of(spec: StackSpec, failures: Mapping[str, ResourceError]) -> dict[str, ResourceError]:
    """Those of this stack: a provider may serve several in a row."""
    prefix = f"urn:pulumi:{spec.stack}::{spec.pulumi_project}::"
    return {urn: error for urn, error in failures.items() if urn.startswith(prefix)}


def _client(address: str) -> list[str]:
    return [f"--client={address}", "--event-log", f"tcp://{address}", "--exec-kind", "auto.inline"]
