"""Events as lines, tables and durations: the pure parts of what is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmctl import narrate
from llmctl.console import Console, ReaderGone, harmless
from llmctl.progress import Lines, Stream
from llmctl.table import columns, seconds
from llmctl.watch import watch
from llmctl_stacks.engine.events import Event, notice
from llmctl_stacks.results import ReplicaStatus, Status

AT = "2030-01-02T03:04:05.678Z"


def event(kind: Any = "resource", **fields: Any) -> Event:
    """An event about the gateway."""
    about = {"type": "llmctl:local:Gateway", "name": "gateway", "layer": "serve"} if kind == "resource" else {}
    return Event(kind, AT, **{**about, **fields})


LINES = [
    (event("phase", message="base", state="running"), "base", "base"),
    (event("phase", message="base", state="done", seconds=2.0), None, "base took 2.0s"),
    (event("phase", message="base", state="failed", seconds=2.0), "base failed", "base failed"),
    (event(state="running", operation="create"), None, None),
    (
        event(state="done", operation="create", seconds=1.0),
        "  Gateway `gateway` created in 1.0s",
        "  Gateway `gateway` created in 1.0s",
    ),
    (
        event(state="done", operation="replace", keys=("a", "b")),
        "  Gateway `gateway` replaced (a, b)",
        "  Gateway `gateway` replaced (a, b)",
    ),
    (
        event(state="failed", operation="delete"),
        "  Gateway `gateway` failed to delete",
        "  Gateway `gateway` failed to delete",
    ),
    (
        event(state="failed", operation="same"),
        "  Gateway `gateway` failed to same",
        "  Gateway `gateway` failed to same",
    ),
    (event(state="done", operation="same"), None, "  Gateway `gateway` unchanged"),
    (event(state="done", operation="refresh"), None, "  Gateway `gateway` as recorded"),
    (
        event(state="done", operation="refresh", drift="changed", keys=("port",)),
        "  Gateway `gateway` changed (port)",
        "  Gateway `gateway` changed (port)",
    ),
    (event(state="done", operation="create", planned=True), None, None),
    (event(state="done", operation="create", component=True), None, None),
    (event("diagnostic", message="hm", severity="info", name="gateway"), None, "gateway: hm"),
    (
        event("diagnostic", message="hm", severity="warning", name="gateway"),
        "warning: gateway: hm",
        "warning: gateway: hm",
    ),
    (event("diagnostic", message="bad", severity="error", name="gateway"), None, "error: gateway: bad"),
    (event("diagnostic", message="all", severity="warning"), "warning: all", "warning: all"),
    (event("notice", message="\x1b[2Jhi", severity="info"), "\\x1b[2Jhi", "\\x1b[2Jhi"),
    (event("notice", message="careful", severity="warning"), "warning: careful", "warning: careful"),
    (event("summary", state="done", counts={"create": 1}), None, None),
]


@pytest.mark.parametrize(("told", "plain", "detailed"), LINES)
def test_an_event_is_a_line_where_it_is_worth_one(told: Event, plain: str | None, detailed: str | None) -> None:
    assert narrate.line(told, detailed=False) == plain
    assert narrate.line(told, detailed=True) == detailed


def test_columns_are_as_wide_as_their_widest_cell_and_end_without_spaces() -> None:
    assert columns([("a", 1, "x"), ("bbb", None, ""), ("c", 100, "long last cell")]) == [
        "a    1    x",
        "bbb  -",
        "c    100  long last cell",
    ]
    assert columns([("\x1b[32mok\x1b[0m", 1), ("bad", 2)]) == ["\x1b[32mok\x1b[0m   1", "bad  2"]
    assert columns([]) == []
    assert columns([("alone",)]) == ["alone"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0.0s"),
        (9.94, "9.9s"),
        (12.4, "12s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3600, "1h00m"),
        (7384, "2h03m"),
        (90000, "1d01h"),
    ],
)
def test_a_duration_is_short(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_control_characters_become_visible_and_lines_stay_lines() -> None:
    assert harmless("a\tb\nc\x1b[0m\x07\x9b\r") == "a\tb\nc\\x1b[0m\\x07\\x9b\\x0d"
    assert harmless("naïve → ok") == "naïve → ok"


class Gone:
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        """Fail as a pipe does."""
        raise BrokenPipeError

    def flush(self) -> None:
        """Nothing to flush."""

    def isatty(self) -> bool:
        """A pipe is none."""
        return False


def test_an_observer_never_raises_whoever_has_stopped_reading(monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr(sys, "stderr", Gone())

    for observe in (Stream(Console(output="ndjson")), Lines(Console())):
        observe(notice("first"))
        observe(notice("second"))

    with pytest.raises(ReaderGone):
        Console().data("result")


class Enough(Exception):
    """Ends a watch."""


def looks(states: list[str]) -> Any:
    """A `look` that finds each state in turn, the uptime always another."""
    left = list(enumerate(states))

    def look() -> Status:
        if not left:
            raise Enough
        number, state = left.pop(0)
        replica = ReplicaStatus("server", "server-1-0", state, uptime_seconds=float(number))
        return Status("dev", "local", state, None, (replica,), 3, (), None)

    return look


def watched(monkeypatch: Any, states: list[str], console: Console | None = None) -> list[float]:
    """Watch until the states are over; returns the pauses."""
    from llmctl.session import Session

    pauses: list[float] = []
    monkeypatch.setattr("llmctl.watch.time.sleep", pauses.append)
    with pytest.raises(Enough):
        watch(Session(console or Console()), looks(states))
    return pauses


def test_watching_in_a_pipe_tells_only_what_changed(monkeypatch: Any, capsys: Any) -> None:
    pauses = watched(monkeypatch, ["starting", "starting", "ready"])

    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("state")]
    assert told == ["state      starting", "state      ready"]
    assert pauses == [2.0, 2.0, 2.0]


def test_watching_on_a_terminal_clears_the_screen_each_time(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    watched(monkeypatch, ["ready", "ready"], Console(color=False))

    assert capsys.readouterr().out.count("\x1b[H\x1b[2Jstack      dev\n") == 2


def test_watching_in_ndjson_is_a_document_for_each_look(monkeypatch: Any, capsys: Any) -> None:
    watched(monkeypatch, ["ready", "ready"], Console(output="ndjson"))

    assert capsys.readouterr().out.count('{"schema": 1, "kind": "Status"') == 2


def test_status_watch_goes_on_until_ctrl_c(llmctl: Any, fake: Any, monkeypatch: Any) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmctl.watch.time.sleep", stop)

    result = llmctl("status", "dev", "--watch")

    assert result.stdout == "stack      dev\ntarget     local\nstate      absent\nresources  0\n"
    assert (result.stderr, result.exit_code) == ("", 130)


COMPLETE = [
    ("llmctl up ", ["dev", "local"]),
    ("llmctl up d", ["dev"]),
    ("llmctl lock release l", ["local"]),
    ("llmctl --config elsewhere up ", ["prod"]),
    ("llmctl st", ["status"]),
]


@pytest.mark.parametrize(("typed", "offered"), COMPLETE)
def test_a_shell_completes_verbs_and_the_names_of_stacks(
    llmctl: Any, isolation: Path, typed: str, offered: list[str]
) -> None:
    other = isolation / "elsewhere" / "stacks"
    other.mkdir(parents=True)
    (other / "prod.yaml").touch()
    (isolation / "elsewhere" / "llmctl.yaml").touch()

    result = llmctl(
        env={
            "_LLMCTL_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split(" ")) - 1),
        }
    )

    assert result.stdout.split() == offered


def test_completion_offers_the_stacks_that_the_project_has(isolation: Path, llmctl: Any) -> None:
    from llmctl.arguments import complete_stack
    from llmctl_stacks.config import find_project

    class Context:
        params: ClassVar[dict[str, Any]] = {}

        def find_root(self) -> Context:
            return self

    (isolation / "stacks" / "deep").mkdir()
    context: Any = Context()

    assert complete_stack(context, "") == list(find_project(Path.cwd()).stacks()) == ["dev", "local"]


def test_completion_offers_nothing_where_there_is_no_project(tmp_path: Path, monkeypatch: Any) -> None:
    from llmctl.arguments import complete_stack

    class Context:
        params: ClassVar[dict[str, Any]] = {}

        def find_root(self) -> Context:
            return self

    monkeypatch.chdir(tmp_path)
    context: Any = Context()

    assert complete_stack(context, "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_names_llmctl_and_its_variable(llmctl: Any, shell: str) -> None:
    result = llmctl("completion", shell)

    assert "llmctl" in result.stdout
    assert f"_LLMCTL_COMPLETE=complete_{shell}" in result.stdout
    assert (result.stderr, result.exit_code) == ("", 0)
