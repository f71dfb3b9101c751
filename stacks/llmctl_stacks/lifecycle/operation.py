"""What every verb that uses the engine has around it: the lock, the engine, the provider, signals, a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llmctl_stacks.engine import recovery
from llmctl_stacks.engine.events import Event, notice, phase
from llmctl_stacks.engine.install import ensure_cli
from llmctl_stacks.engine.operations import Engine, OpReport, Verb
from llmctl_stacks.engine.signals import graceful
from llmctl_stacks.engine.tracker import Tracker
from llmctl_stacks.lifecycle.context import Context, open_context
from llmctl_stacks.lifecycle.options import Observer, Options
from llmctl_stacks.results import LockStatus
from llmctl_stacks.targets import LAYERS, Attached, Target, open_target

_TELL_SECONDS = 15.0  # a build takes minutes; a log needs no line a second


@dataclass
class Operation:
    """One verb at work on one stack.

    Attributes:
        context: which stack.
        target: where it runs.
        engine: drives Pulumi.
        attached: the provider that serves the target's resources.
        observe: gets every event.
    """

    context: Context
    target: Target
    engine: Engine
    attached: Attached
    observe: Observer
    tracker: Tracker = field(default_factory=Tracker)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the verb began."""
        return round(time.monotonic() - self.started, 3)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Tell the observer that a part of the verb begins and how it ended.

        Nothing begins after the user has interrupted.
        """
        self.engine.check()
        began = time.monotonic()
        self.observe(phase(name, "running"))
        try:
            yield
        except BaseException:
            self.observe(phase(name, "failed", round(time.monotonic() - began, 3)))
            raise
        self.observe(phase(name, "done", round(time.monotonic() - began, 3)))

    def heal(self) -> tuple[str, ...]:
        """Mend what an interrupted operation left in any layer; a sentence for each thing mended."""
        actions: list[str] = []
        for layer in LAYERS:
            actions += recovery.heal(
                self.engine,
                self.context.spec(layer),
                self.attached.find,
                self.attached.ports,
                self.attached.failures,
            )
        for action in actions:
            self.observe(notice(action, "warning"))
        return tuple(actions)

    def run(self, verb: Verb, layer: str, *, refresh: bool = False) -> OpReport:
        """One operation of the engine on one layer."""
        return self.engine.run(
            verb,
            self.context.spec(layer),
            self.target.program(layer, self.context.recorded()),
            self.attached.ports,
            self._receive,
            failures=self.attached.failures,
            refresh=refresh,
        )

    def exists(self, layer: str) -> bool:
        """Whether anything is recorded of the layer."""
        return bool(self.context.checkpoint(layer).resources)

    def _receive(self, event: Event) -> None:
        self.tracker.feed(event)
        self.observe(event)


@contextmanager
def operation(verb: str, options: Options, observe: Observer, *, locked: bool = True) -> Iterator[Operation]:
    """Open everything that the engine needs for one verb, and close it again whatever happens.

    Args:
        verb: for the lock.
        options: which stack, how patient.
        observe: gets every event.
        locked: whether the verb changes something, so that it must be alone.

    Raises:
        LockedError: when another operation holds the stack.
        EngineMissing: when there is no engine and none can be had.
        PreflightError: when the home folder cannot be written to, or the target is not available.
    """
    context = open_context(options)
    target = open_target(context)
    context.home.ensure()
    with ExitStack() as stack:
        record_engine = _lock(stack, context, verb, options, observe) if locked else _nothing
        engine, tracker = Engine(context.home, _cli(context, observe), record_engine), Tracker()
        # Before the provider: a signal that comes while the provider closes must not break that off.
        stack.enter_context(
            graceful(
                engine,
                lambda message: observe(notice(message, "warning")),
                lambda: len(tracker.running),
                options.timeout,
            )
        )
        attached = stack.enter_context(target.attach())
        current = Operation(context, target, engine, attached, observe, tracker)
        yield current


def _lock(
    stack: ExitStack, context: Context, verb: str, options: Options, observe: Observer
) -> Callable[[int], None]:
    def waiting(status: LockStatus) -> None:
        observe(notice(f"waiting for {status.owner}, which is running `{status.verb}`"))

    lease = stack.enter_context(context.lock.acquire(verb, options.lock_wait, waiting))
    return lease.record_engine


def _nothing(pid: int) -> None:
    del pid


def _cli(context: Context, observe: Observer) -> Path:
    """Find the engine; where it must be installed or built, say so now and then."""
    told = -_TELL_SECONDS

    def progress(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            observe(notice(line))

    return ensure_cli(context.home, progress).path
