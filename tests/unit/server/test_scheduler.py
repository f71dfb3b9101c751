from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llmctl_server import scheduler as module
from llmctl_server.jobs import Answer, Job, QueueFull, Run, TooManyTokens
from llmctl_server.scheduler import Scheduler
from support.fake_engine import FakeEngine


class Failure(Exception):
    pass


@asynccontextmanager
async def started(
    engine: FakeEngine, *, workers: int = 1, max_waiting: int = 100, runs: list[Run] | None = None
) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(
        engine,
        workers=workers,
        max_waiting=max_waiting,
        max_tokens=50,
        observe=(runs if runs is not None else []).append,
    )
    scheduler.start(asyncio.get_running_loop())
    try:
        yield scheduler
    finally:
        engine.gate.set()
        scheduler.stop(Failure())


def job(*texts: str, truncate: bool = False) -> Job:
    return Job(texts, truncate, asyncio.get_running_loop())


async def busy(scheduler: Scheduler, engine: FakeEngine) -> asyncio.Task[list[Answer]]:
    """Occupy the one worker with a run that ends when the gate opens. Two texts, so never on the fast path."""
    engine.gate.clear()
    while engine.entered.acquire(blocking=False):
        pass
    task = asyncio.create_task(scheduler.answer(job("busy", "busy")))
    await entered(engine)
    return task


async def entered(engine: FakeEngine) -> None:
    assert await asyncio.to_thread(engine.entered.acquire, timeout=5)


async def soon() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lone_text_is_answered_on_the_loop_by_all_processors() -> None:
    runs: list[Run] = []
    engine = FakeEngine()
    async with started(engine, runs=runs) as scheduler:
        answers = await scheduler.answer(job("good film"))

    assert answers == [Answer(0.5, 2, truncated=False)]
    assert engine.runs == [([2], True)]
    assert [run.inline for run in runs] == [True]


async def test_requests_that_overlap_share_a_run_of_a_worker() -> None:
    runs: list[Run] = []
    engine = FakeEngine()
    async with started(engine, runs=runs) as scheduler:
        first = await busy(scheduler, engine)
        others = [asyncio.create_task(scheduler.answer(job("good " * n))) for n in (3, 4, 5)]
        await soon()
        assert scheduler.waiting == 3
        engine.gate.set()
        await asyncio.gather(first, *others)

    assert engine.runs[1:] == [([3, 4, 5], False)]
    assert runs[1:] == [Run(3, 12, 15, runs[1].seconds, inline=False)]


async def test_requests_of_one_moment_do_not_block_the_loop_one_after_the_other() -> None:
    runs: list[Run] = []
    engine = FakeEngine()
    async with started(engine, runs=runs) as scheduler:
        await asyncio.gather(*(scheduler.answer(job("good")) for _ in range(20)))

    assert not any(run.inline for run in runs)


async def test_the_fast_path_returns_after_a_quiet_while() -> None:
    runs: list[Run] = []
    engine = FakeEngine()
    async with started(engine, runs=runs) as scheduler:
        await asyncio.gather(*(scheduler.answer(job("good")) for _ in range(2)))
        await scheduler.answer(job("good"))
        assert not any(run.inline for run in runs)
        await asyncio.sleep(module.QUIET_SECONDS * 1.5)
        await scheduler.answer(job("good"))

    assert runs[-1].inline


async def test_a_long_text_never_blocks_the_loop() -> None:
    runs: list[Run] = []
    async with started(FakeEngine(), runs=runs) as scheduler:
        await scheduler.answer(job("g" * (module.INLINE_CHARACTERS + 1)))

    assert [run.inline for run in runs] == [False]


async def test_a_slow_model_never_blocks_the_loop_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INLINE_SECONDS", 0.0)
    runs: list[Run] = []
    async with started(FakeEngine(), runs=runs) as scheduler:
        for _ in range(3):
            await scheduler.answer(job("good"))

    assert [run.inline for run in runs] == [True, False, False]


async def test_a_lone_long_text_still_gets_all_processors() -> None:
    engine = FakeEngine()
    async with started(engine, workers=2) as scheduler:
        await scheduler.answer(job("g" * (module.INLINE_CHARACTERS + 1)))

    assert engine.runs == [([1], True)]


async def test_a_list_is_shared_by_the_workers() -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with started(engine, workers=2) as scheduler:
        task = asyncio.create_task(scheduler.answer(job(*["good"] * 10)))
        await entered(engine)
        await entered(engine)
        engine.gate.set()
        assert len(await task) == 10

    assert sum(len(lengths) for lengths, _ in engine.runs) == 10


async def test_answers_come_in_the_order_of_the_texts() -> None:
    texts = ["good " * n + "bad " * (30 - n) for n in (0, 30, 15, 6)] + ["good"]
    async with started(FakeEngine(), workers=2) as scheduler:
        answers = await scheduler.answer(job(*texts))

    assert [answer.score for answer in answers] == [0.0, 1.0, 0.5, 0.2, 1.0]


async def test_a_full_queue_refuses_and_tells_how_long_the_rest_takes() -> None:
    engine = FakeEngine()
    async with started(engine, max_waiting=3) as scheduler:
        await scheduler.answer(job("learn", "the speed"))
        first = await busy(scheduler, engine)
        fitting = [asyncio.create_task(scheduler.answer(job("good"))) for _ in range(3)]
        await soon()
        with pytest.raises(QueueFull) as caught:
            await scheduler.answer(job("good"))
        assert caught.value.waiting == 3
        assert caught.value.seconds == scheduler.backlog_seconds() > 0
        engine.gate.set()
        await asyncio.gather(first, *fitting)

    assert scheduler.waiting == 0
    assert scheduler.backlog_seconds() == 0


async def test_a_queue_of_few_but_huge_texts_is_full_too() -> None:
    engine = FakeEngine()
    huge = "g" * (module.WAITING_CHARACTERS * 6)
    async with started(engine, max_waiting=10) as scheduler:
        first = await busy(scheduler, engine)
        waiting = asyncio.create_task(scheduler.answer(job(huge)))
        await soon()
        with pytest.raises(QueueFull):
            await scheduler.answer(job(huge))
        engine.gate.set()
        await asyncio.gather(first, waiting)


async def test_an_empty_queue_takes_even_the_largest_request() -> None:
    engine = FakeEngine()
    async with started(engine, max_waiting=2) as scheduler:
        answers = await scheduler.answer(job("g" * (module.WAITING_CHARACTERS * 50)))

    assert len(answers) == 1


async def test_a_list_that_does_not_fit_is_refused_whole() -> None:
    engine = FakeEngine()
    async with started(engine, max_waiting=3) as scheduler:
        first = await busy(scheduler, engine)
        waiting = asyncio.create_task(scheduler.answer(job("good")))
        await soon()
        with pytest.raises(QueueFull):
            await scheduler.answer(job("a", "b", "c"))
        assert scheduler.waiting == 1
        engine.gate.set()
        await asyncio.gather(first, waiting)


async def test_a_dropped_job_leaves_the_queue_and_is_never_run() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        first = await busy(scheduler, engine)
        gone, stays = job("good " * 9, "good " * 9), job("good")
        tasks = [asyncio.create_task(scheduler.answer(each)) for each in (gone, stays)]
        await soon()
        scheduler.drop(gone, Failure())
        assert scheduler.waiting == 1
        with pytest.raises(Failure):
            await tasks[0]
        engine.gate.set()
        await asyncio.gather(first, tasks[1])

    assert [lengths for lengths, _ in engine.runs] == [[1, 1], [1]]


async def test_a_job_that_is_dropped_while_it_runs_does_not_disturb_its_neighbours() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        engine.gate.clear()
        pair = [job("good"), job("good")]
        tasks = [asyncio.create_task(scheduler.answer(each)) for each in pair]
        await entered(engine)
        scheduler.drop(pair[0], Failure())
        with pytest.raises(Failure):
            await tasks[0]
        engine.gate.set()
        assert (await tasks[1])[0].score == 1.0


async def test_a_job_that_is_dropped_after_its_turn_began_is_not_run_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    loop = asyncio.get_running_loop()
    async with started(engine) as scheduler:
        first = await busy(scheduler, engine)
        short, long = job("good"), job("good " * 40)
        tasks = [asyncio.create_task(scheduler.answer(each)) for each in (short, long)]
        await soon()
        run = engine.run

        async def drop_long() -> None:
            scheduler.drop(long, Failure())

        def run_and_drop(ids: list[list[int]], *, wide: bool) -> list[float]:
            """Both texts are taken in one turn; the short one runs first."""
            scores = run(ids, wide=wide)
            asyncio.run_coroutine_threadsafe(drop_long(), loop).result(5)
            return scores

        monkeypatch.setattr(engine, "run", run_and_drop)
        engine.gate.set()
        await asyncio.gather(first, tasks[0])
        with pytest.raises(Failure):
            await tasks[1]

    assert [lengths for lengths, _ in engine.runs] == [[1, 1], [1]]


async def test_a_job_that_was_dropped_before_it_came_is_not_queued() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        late = job("a", "b")
        scheduler.drop(late, Failure())
        with pytest.raises(Failure):
            await scheduler.answer(late)
        assert scheduler.waiting == 0

    assert engine.runs == []


async def test_a_text_that_is_too_long_does_not_harm_its_neighbours() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        first = await busy(scheduler, engine)
        tasks = [
            asyncio.create_task(scheduler.answer(each))
            for each in (job("good"), job("ok", "good " * 51), job("good " * 51, truncate=True))
        ]
        await soon()
        engine.gate.set()
        with pytest.raises(TooManyTokens) as caught:
            await tasks[1]
        assert (caught.value.index, caught.value.tokens) == (1, 51)
        assert await tasks[0] == [Answer(1.0, 1, truncated=False)]
        assert await tasks[2] == [Answer(1.0, 50, truncated=True)]
        await first


@pytest.mark.parametrize("text", ["good", "g" * (module.INLINE_CHARACTERS + 1)])
async def test_a_failing_run_fails_its_jobs_and_the_next_one_works(text: str) -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        engine.failure = Failure()
        with pytest.raises(Failure):
            await scheduler.answer(job(text))
        engine.failure = None
        assert len(await scheduler.answer(job(text))) == 1
        assert scheduler.alive


async def test_a_failing_tokenizer_fails_only_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        with monkeypatch.context() as patch:
            patch.setattr(engine, "encode", lambda texts: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await scheduler.answer(job("a", "b"))
        assert len(await scheduler.answer(job("a", "b"))) == 2


async def test_stopping_fails_what_is_unfinished_and_ends_the_workers() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        first = await busy(scheduler, engine)
        second = asyncio.create_task(scheduler.answer(job("good")))
        await soon()
        assert scheduler.stop(Failure()) == 2
        for task in (first, second):
            with pytest.raises(Failure):
                await task
        engine.gate.set()
        deadline = time.monotonic() + 5
        while scheduler.alive and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert not scheduler.alive


async def test_a_worker_takes_no_more_than_its_share_and_its_turn() -> None:
    engine = FakeEngine()
    async with started(engine, max_waiting=500) as scheduler:
        first = await busy(scheduler, engine)
        long = "g" * (module.TURN_COST // 4)
        tasks = [asyncio.create_task(scheduler.answer(job(long))) for _ in range(4)]
        tasks += [asyncio.create_task(scheduler.answer(job("good"))) for _ in range(module.TURN_TEXTS + 1)]
        await soon()
        engine.gate.set()
        await asyncio.gather(first, *tasks)

    assert [len(lengths) for lengths, _ in engine.runs[1:]] == [3, module.TURN_TEXTS, 2]


async def test_the_times_of_a_job_tell_waiting_from_running() -> None:
    engine = FakeEngine()
    async with started(engine) as scheduler:
        first = await busy(scheduler, engine)
        waiting = job("good")
        task = asyncio.create_task(scheduler.answer(waiting))
        await asyncio.sleep(0.05)
        engine.gate.set()
        await asyncio.gather(first, task)

    assert waiting.queue_seconds >= 0.05
    assert 0 < waiting.run_seconds < 5
