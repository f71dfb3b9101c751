"""A model whose speed and failures a test decides."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from llmctl_server.app import App
from llmctl_server.auth import KeyFile
from llmctl_server.loaded import LoadedModel
from llmctl_server.request_log import RequestLog
from llmctl_server.scheduler import Scheduler
from llmctl_server.settings import Settings
from llmctl_server.state import State


class FakeEngine:
    """A token per word; the score is the share of words that are `good`. Runs wait while the gate is shut.

    Attributes:
        gate: shut it to keep every run from finishing.
        entered: released once for each run that began.
        runs: token counts and width of every run, in the order in which they began.
        failure: raised by every run when set.
    """

    name = "fake"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.runs: list[tuple[list[int], bool]] = []
        self.failure: Exception | None = None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """1 for `good`, 0 for any other word."""
        return [[int(word == "good") for word in text.split()] for text in texts]

    def run(self, ids: Sequence[Sequence[int]], *, wide: bool) -> list[float]:
        """The share of ones."""
        self.runs.append(([len(each) for each in ids], wide))
        self.entered.release()
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        return [sum(each) / len(each) for each in ids]


def settings_of(**environment: str) -> Settings:
    """Settings as from an environment that names some bundle."""
    return Settings.from_environment({"LLMCTL_MODEL": "bundle", **environment})


@asynccontextmanager
async def serving(
    engine: FakeEngine,
    settings: Settings | None = None,
    *,
    state: State | None = None,
    keys: KeyFile | None = None,
    request_log: RequestLog | None = None,
    workers: int = 1,
) -> AsyncIterator[App]:
    """A ready application over `engine`, without a socket."""
    import asyncio

    settings = settings or settings_of()
    state = state or State(began=0.0, drain_delay=0.0, grace=5.0)
    app = App(settings, state, keys=keys, request_log=request_log)
    scheduler = Scheduler(
        engine,
        workers=workers,
        max_waiting=settings.max_queue,
        max_tokens=settings.max_tokens,
        observe=lambda _: None,
    )
    scheduler.start(asyncio.get_running_loop())
    model = LoadedModel(engine, workers, "sha256:" + "0" * 64, {"name": "fake"}, "1", 0.1)  # type: ignore[arg-type]
    app.serve(model, scheduler)
    state.ready()
    try:
        yield app
    finally:
        engine.gate.set()
        app.stop()
