"""The live view of an operation: its phases and, under each, the resources at work.

Eight times a second the whole view is drawn again from what the events said so far. Unchanged resources
are only counted. What stays on the screen at the end is the last drawing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

from rich.console import Console as RichConsole
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llmctl import narrate
from llmctl.console import Console
from llmctl.table import seconds
from llmctl_stacks.engine.events import Event
from llmctl_stacks.engine.tracker import ResourceProgress, Tracker
from llmctl_stacks.lifecycle import Observer

_HERTZ = 8
_STYLES = {"running": "cyan", "done": "green", "failed": "bold red"}
_SIGNS = {"done": "✓", "failed": "✗"}
_UNTOLD = ("", "same", "read", "refresh")


@contextmanager
def show(console: Console) -> Iterator[Observer]:
    """Draw on stderr until the block ends; yields what takes the events."""
    screen = RichConsole(
        stderr=True, no_color=not console.shows_color(sys.stderr), highlight=False, soft_wrap=True
    )
    view = View()
    with Live(
        get_renderable=lambda: view.draw(room=max(5, screen.size.height - 3)),
        console=screen,
        refresh_per_second=_HERTZ,
        redirect_stdout=False,
        redirect_stderr=False,
    ):

        def observe(event: Event) -> None:
            view.feed(event)
            said = event.kind in ("notice", "diagnostic")
            if said and (line := narrate.remark(event, detailed=console.verbosity > 0)) is not None:
                screen.print(Text(line))

        yield observe


@dataclass
class _Phase:
    """A part of the verb: since when it runs, and how long it took once it ended."""

    name: str
    state: str
    since: float
    seconds: float | None = None


@dataclass
class View:
    """Folds events and draws where the operation stands; safe to feed and to draw from two threads.

    Args:
        clock: seconds, monotonic.
    """

    clock: Callable[[], float] = time.monotonic
    _tracker: Tracker = field(default_factory=Tracker)
    _phases: dict[str, _Phase] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def feed(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            self._tracker.feed(event)
            if event.kind == "phase":
                since = self._phases[event.message].since if event.message in self._phases else self.clock()
                self._phases[event.message] = _Phase(event.message, event.state, since, event.seconds)
            elif event.kind == "resource" and event.state == "running":
                self._since[event.urn] = self.clock()

    def draw(self, room: int = 100) -> Table:
        """A table of the phases in order, each with its resources, in at most about `room` rows."""
        with self._lock:
            table = Table.grid(padding=(0, 2, 0, 0))
            for justify in ("left", "left", "left", "left", "right"):
                table.add_column(justify=justify, no_wrap=True)
            layers = dict.fromkeys([*self._phases, *(r.layer for r in self._tracker.resources.values())])
            left = max(1, room - len(layers))
            for layer in layers:
                if layer in self._phases:
                    self._add_phase(table, self._phases[layer])
                left -= self._add_resources(table, layer, left)
            return table

    def _add_phase(self, table: Table, phase: _Phase) -> None:
        took = phase.seconds if phase.state != "running" else self.clock() - phase.since
        self._add(table, phase.state, Text(phase.name, "bold"), "", phase.state, took)

    def _add_resources(self, table: Table, layer: str, room: int) -> int:
        own = [r for r in self._tracker.resources.values() if r.layer == layer and not r.component]
        told = [r for r in own if r.state in ("running", "failed") or r.operation not in _UNTOLD or r.drift]
        shown = sorted(told, key=lambda r: r.state == "done")[:room]
        for resource in [r for r in told if r in shown]:
            took = self._took(resource)
            word = narrate.outcome(resource.operation, resource.state, resource.drift)
            name = f"  {narrate.short_type(resource.type)}"
            self._add(table, resource.state, Text(name), resource.name, word, took)
        rest = len(own) - len(shown)
        if rest:
            word = "unchanged" if len(told) == len(shown) else "more"
            table.add_row("", Text(f"  {rest} {word}", "dim"), "", "", "")
        return len(shown) + bool(rest)

    def _took(self, resource: ResourceProgress) -> float | None:
        if resource.state == "running":
            return self.clock() - self._since.get(resource.urn, self.clock())
        return resource.seconds or None

    def _add(self, table: Table, state: str, first: Text, name: str, word: str, took: float | None) -> None:
        style = _STYLES.get(state, "")
        sign = self._spinner.render(self.clock()) if state == "running" else Text(_SIGNS.get(state, " "), style)
        table.add_row(sign, first, name, Text(word, style), Text("" if took is None else seconds(took), "dim"))
