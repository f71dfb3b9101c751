"""The live view: drawn from a recorded list of events, and on a real terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as RichConsole

from llmctl.live import View
from llmctl_stacks.engine.events import Event

AT = "2030-01-02T03:04:05.678Z"
ROOT = Path(__file__).parents[3]


def phase(name: str, state: Any, seconds: float | None = None) -> Event:
    """A part of the verb begins or ends."""
    return Event("phase", AT, message=name, state=state, seconds=seconds)


def step(name: str, state: Any, operation: Any = "create", layer: str = "serve", **more: Any) -> Event:
    """A resource begins or ends a step."""
    return Event(
        "resource",
        AT,
        layer=layer,
        state=state,
        urn=f"urn:pulumi:local::demo-{layer}::llmctl:local:{name.title()}::{name}",
        type=f"llmctl:local:{name.title()}",
        name=name,
        operation=operation,
        **more,
    )


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(view: View, room: int = 100) -> list[str]:
    """The rows of the view as a terminal without colour shows them, without the sign in front."""
    screen = RichConsole(file=io.StringIO(), width=80, color_system=None)
    with screen.capture() as capture:
        screen.print(view.draw(room))
    return [line.rstrip() for line in capture.get().splitlines()]


def fed(clock: Clock, events: Sequence[tuple[float, Event]]) -> View:
    """A view that was told `events`, each at its time after the start."""
    view = View(clock)
    start = clock.now
    for after, event in events:
        clock.now = start + after
        view.feed(event)
    return view


RECORDED = (
    (0.0, phase("engine", "running")),
    (0.1, phase("engine", "done", 0.1)),
    (0.1, phase("base", "running")),
    (0.2, step("key", "running", "same", "base")),
    (0.2, step("key", "done", "same", "base", seconds=0.0)),
    (0.3, step("store", "running", "create", "base")),
    (0.9, step("store", "done", "create", "base", seconds=0.6)),
    (1.0, phase("base", "done", 0.9)),
    (1.0, phase("serve", "running")),
    (1.1, step("group", "running", "create", component=True)),
    (1.2, step("servers", "running", "update")),
    (1.5, step("gateway", "running", "create")),
    (1.6, step("gateway", "failed", "create", seconds=0.1)),
)


def test_a_recorded_update_is_drawn_as_phases_with_their_resources() -> None:
    clock = Clock()
    view = fed(clock, RECORDED)
    clock.now += 2.0

    rows = drawn(view)

    assert [row[3:] for row in rows] == [
        "engine                  done              0.1s",
        "base                    done              0.9s",
        "  Store        store    created           0.6s",
        "  1 unchanged",
        "serve                   running           2.6s",
        "  Servers      servers  updating          2.4s",
        "  Gateway      gateway  failed to create  0.1s",
    ]
    assert [row[0] for row in rows] == ["✓", "✓", "✓", " ", "⠋", "⠋", "✗"]


def test_every_state_is_said_in_words_so_that_colour_carries_nothing() -> None:
    rows = " ".join(drawn(fed(Clock(), RECORDED)))

    for word in ("done", "running", "created", "updating", "failed to create", "unchanged"):
        assert word in rows


def test_a_long_update_fits_the_screen_and_keeps_what_is_at_work() -> None:
    events = [(0.0, phase("serve", "running"))]
    events += [(0.1, step(f"old{n}", "done", seconds=0.1)) for n in range(30)]
    events += [(0.2, step("late", "running"))]

    rows = drawn(fed(Clock(), events), room=10)

    assert len(rows) <= 11
    assert any("late" in row for row in rows)
    assert rows[-1].strip() == "22 more"


def test_a_drifted_resource_says_what_reading_it_found() -> None:
    events = [
        (0.0, step("gateway", "running", "refresh")),
        (0.1, step("gateway", "done", "refresh", drift="missing")),
        (0.1, step("servers", "running", "refresh")),
        (0.1, step("servers", "done", "refresh")),
    ]

    assert [row.split()[-1] for row in drawn(fed(Clock(), events))] == ["missing", "unchanged"]


def test_it_can_be_drawn_while_it_is_fed() -> None:
    view = View()
    raised: list[BaseException] = []

    def draw() -> None:
        try:
            for _ in range(200):
                view.draw()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            raised.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    for number in range(400):
        view.feed(step(f"r{number}", "running"))
    thread.join(30)

    assert raised == []


PROGRAM = """
import sys, time
from llmctl.console import Console
from llmctl.progress import choose
from llmctl_stacks.engine.events import Event, notice, phase
with choose(Console()) as observe:
    observe(phase("serve", "running"))
    observe(notice("waiting for running steps to finish"))
    time.sleep(0.4)
    observe(phase("serve", "done", 0.4))
print("RESULT")
"""


def on_a_terminal(environment: dict[str, str]) -> str:
    """What a terminal receives from the program above."""
    ours, theirs = pty.openpty()
    paths = os.pathsep.join(str(ROOT / part) for part in ("cli", "stacks", "infra"))
    given = {**os.environ, "PYTHONPATH": paths, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=given, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    received = b""
    with process:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux: the program has closed its side
                break
            if not part:
                break
            received += part
    os.close(ours)
    return received.decode()


def test_a_terminal_sees_the_view_drawn_again_notices_above_it_and_the_cursor_given_back() -> None:
    screen = on_a_terminal({})

    assert screen.count("running") >= 2
    assert "waiting for running steps to finish" in screen
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") == 1
    assert screen.rstrip().endswith("RESULT")


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"TERM": "dumb"}])
def test_a_terminal_that_cannot_redraw_or_is_not_watched_gets_plain_lines(environment: dict[str, str]) -> None:
    screen = on_a_terminal(environment)

    assert screen == "serve\r\nwaiting for running steps to finish\r\nRESULT\r\n"


def test_no_color_keeps_the_view_and_drops_the_colours() -> None:
    coloured, plain = on_a_terminal({}), on_a_terminal({"NO_COLOR": "1"})

    assert "\x1b[36m" in coloured
    assert "\x1b[36m" not in plain
    assert "\x1b[32m" not in plain
    assert plain.count("running") >= 2
