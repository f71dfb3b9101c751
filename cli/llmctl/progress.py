"""What an operation reports to while it runs: a live view, lines of narration, or a stream of JSON.

An observer is called from any thread, and never raises: an update must not stop half way because nobody
reads what it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from llmctl import envelope, kinds, narrate
from llmctl.console import Console, ReaderGone

if TYPE_CHECKING:
    from llmctl_stacks.engine.events import Event
    from llmctl_stacks.lifecycle import Observer


@contextmanager
def choose(console: Console) -> Iterator[Observer]:
    """Yield the observer that fits where stderr goes and what stdout carries."""
    if console.output == "ndjson":
        yield Stream(console)
    elif console.can_redraw:
        from llmctl import live

        with live.show(console) as observe:
            yield observe
    else:
        yield Lines(console)


@dataclass
class Lines:
    """One line on stderr for each thing worth telling."""

    console: Console

    def __call__(self, event: Event) -> None:
        """Tell of `event`, if it is worth a line at this verbosity."""
        if (line := narrate.line(event, detailed=self.console.verbosity > 0)) is not None:
            self.console.say(line)


@dataclass
class Stream:
    """One JSON document on stdout for each event; silent once nobody reads it."""

    console: Console
    _lock: Lock = field(default_factory=Lock)
    _read: bool = True

    def __call__(self, event: Event) -> None:
        """Write `event`."""
        with self._lock:
            try:
                if self._read:
                    self.console.data(envelope.dumps(kinds.Event(event.to_json()), lines=True))
            except ReaderGone:
                self._read = False
