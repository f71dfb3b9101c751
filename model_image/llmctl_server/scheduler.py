"""A bounded queue in front of the model, the workers behind it, and the fast path of an idle server.

Under load the batch is whatever came in during the previous run: no timer, so batching adds no waiting. An idle
server skips the queue and computes on the event loop with all processors, which saves two thread hops. That
blocks the loop, so it is done only for one short text, alone, and after some milliseconds in which no two
requests overlapped: at 64 connections it would starve the other 63.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from llmctl_server.buckets import cut
from llmctl_server.engine import Engine
from llmctl_server.jobs import Answer, Item, Job, QueueFull, Run, TooManyTokens

TURN_TEXTS = 16
TURN_COST = 8_000
"""Most texts, and most cost in characters, that a worker takes in one turn.

What a worker has taken is sorted by length and answered at the end of each bucket, so long turns make the tail of
the latency: turns of 64 texts had a p99 of 2.1 x p50, turns of 16 one of 1.6 x p50, at the same rate.
"""

WAITING_CHARACTERS = 4096
"""Most characters of a waiting text, on the average of a full queue: what waits must fit into memory too."""

INLINE_CHARACTERS = 600
INLINE_SECONDS = 0.005
"""Longest text, and longest expected time, that may block the event loop. Beyond, thread hops do not matter."""

QUIET_SECONDS = 0.03
"""How long no two requests may have overlapped before the fast path is taken."""

_SMOOTHING = 0.2

Outcome = tuple[Item, "Answer | Exception"]


class Scheduler:
    """Turns jobs into answers. All public methods belong to the event loop's thread."""

    def __init__(
        self, engine: Engine, *, workers: int, max_waiting: int, max_tokens: int, observe: Callable[[Run], None]
    ) -> None:
        """Store the collaborators; `start` begins the work.

        Args:
            engine: the model.
            workers: threads that call it.
            max_waiting: most texts in the queue.
            max_tokens: most tokens of one text.
            observe: told of every run, from any thread.
        """
        self._engine = engine
        self._workers = workers
        self._max_waiting = max_waiting
        self._max_tokens = max_tokens
        self._observe = observe
        self._queue: deque[Item] = deque()
        self._cost = 0
        self._wake = threading.Condition()
        self._running = 0
        self._stopped = False
        self._open: set[Job] = set()
        self._crowded_until = 0.0
        self._seconds_per_cost = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the workers; answers are delivered on `loop`."""
        self._loop = loop
        self._threads = [
            threading.Thread(target=self._work, name=f"llmctl-worker-{number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, reason: Exception) -> int:
        """Fail every open job with `reason`, let the workers end, and return how many jobs were cut."""
        cut_off = list(self._open)
        for job in cut_off:
            self.drop(job, reason)
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        return len(cut_off)

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether every worker runs."""
        return all(thread.is_alive() for thread in self._threads)

    def backlog_seconds(self) -> float:
        """Estimate of the time until the work that waits now is done, from the speed of the last runs."""
        return self._cost * self._seconds_per_cost / self._workers

    async def answer(self, job: Job) -> list[Answer]:
        """Wait for the answers of a job.

        Raises:
            QueueFull: there is no room for its texts.
            TooManyTokens: a text is too long and may not be cut.
            Exception: what `drop` or the engine gave as the reason.
        """
        self._open.add(job)
        try:
            if len(self._open) > 1:
                self._crowded_until = time.perf_counter() + QUIET_SECONDS
            if not await self._answered_inline(job):
                if not job.future.done():
                    self._enqueue(job)
                await job.future
            return job.result
        finally:
            self._open.discard(job)

    def drop(self, job: Job, reason: Exception) -> None:
        """Give up on a job: its waiting texts leave the queue, its caller gets `reason`."""
        if job.future.done():
            return
        with self._wake:
            kept = [item for item in self._queue if item.job is not job]
            if len(kept) < len(self._queue):
                self._queue = deque(kept)
                self._cost = sum(item.cost for item in kept)
        job.future.set_exception(reason)
        # Nobody may be waiting yet; an exception that is never fetched would be reported as an accident.
        job.future.exception()

    async def _answered_inline(self, job: Job) -> bool:
        if len(job.texts) > 1 or len(job.texts[0]) > INLINE_CHARACTERS or self._is_crowded():
            return False
        item = Item(job, 0)
        if item.cost * self._seconds_per_cost > INLINE_SECONDS:
            return False
        # One turn of the loop, so that requests which arrived in the same moment are seen before it is blocked.
        await asyncio.sleep(0)
        if len(self._open) > 1 or self._running or job.future.done():
            return False
        started = time.perf_counter()
        for outcomes in self._outcomes([item], wide=True, inline=True):
            _deliver(outcomes, started, time.perf_counter())
        self._learn(item.cost, time.perf_counter() - started)
        job.future.result()
        return True

    def _is_crowded(self) -> bool:
        return time.perf_counter() < self._crowded_until

    def _enqueue(self, job: Job) -> None:
        items = [Item(job, index) for index in range(len(job.texts))]
        cost = sum(item.cost for item in items)
        with self._wake:
            too_many = len(self._queue) + len(items) > self._max_waiting
            # Alone in an empty queue even the largest request is taken, or it never could be.
            too_large = bool(self._queue) and self._cost + cost > self._max_waiting * WAITING_CHARACTERS
            if too_many or too_large:
                raise QueueFull(len(self._queue), self.backlog_seconds())
            self._queue.extend(items)
            self._cost += cost
            self._wake.notify(len(items))

    def _work(self) -> None:
        assert self._loop is not None
        while turn := self._take():
            items, wide = turn
            started = time.perf_counter()
            for outcomes in self._outcomes(items, wide=wide, inline=False):
                try:
                    self._loop.call_soon_threadsafe(_deliver, outcomes, started, time.perf_counter())
                except RuntimeError:
                    return  # The loop is closed: the process is ending.
            with self._wake:
                self._running -= 1
            self._learn(sum(item.cost for item in items), time.perf_counter() - started)

    def _take(self) -> tuple[list[Item], bool] | None:
        """Wait for texts and take this worker's share; None when the scheduler has stopped."""
        with self._wake:
            while not self._queue:
                if self._stopped:
                    return None
                self._wake.wait()
            share = min(TURN_TEXTS, -(-len(self._queue) // self._workers))
            items = [self._queue.popleft()]
            cost = items[0].cost
            while len(items) < share and cost + self._queue[0].cost <= TURN_COST:
                items.append(self._queue.popleft())
                cost += items[-1].cost
            self._cost -= cost
            wide = not (self._running or self._queue or self._is_crowded())
            self._running += 1
            return items, wide

    def _learn(self, cost: int, seconds: float) -> None:
        """Take one turn into the estimate of the speed. Two threads at once may lose one of the two: no harm."""
        now = seconds / cost
        before = self._seconds_per_cost or now
        self._seconds_per_cost = before + _SMOOTHING * (now - before)

    def _outcomes(self, items: Sequence[Item], *, wide: bool, inline: bool) -> Iterator[list[Outcome]]:
        """Answers as they become known: refused texts first, then bucket by bucket, short texts first."""
        try:
            encoded = self._engine.encode([item.text for item in items])
        except Exception as error:  # noqa: BLE001 - a worker must outlive whatever the tokenizer does
            yield [(item, error) for item in items]
            return
        fitting: list[tuple[Item, list[int], bool]] = []
        refused: list[Outcome] = []
        for item, ids in zip(items, encoded, strict=True):
            if len(ids) <= self._max_tokens:
                fitting.append((item, ids, False))
            elif item.job.truncate:
                fitting.append((item, ids[: self._max_tokens], True))
            else:
                refused.append((item, TooManyTokens(item.index, len(ids))))
        if refused:
            yield refused
        for bucket in cut([len(ids) for _, ids, _ in fitting]):
            # A turn takes a while: what was dropped since its start is not worth a run.
            wanted = [fitting[index] for index in bucket if not fitting[index][0].job.future.done()]
            if wanted:
                yield self._run_bucket(wanted, wide=wide, inline=inline)

    def _run_bucket(
        self, bucket: Sequence[tuple[Item, list[int], bool]], *, wide: bool, inline: bool
    ) -> list[Outcome]:
        started = time.perf_counter()
        try:
            scores = self._engine.run([ids for _, ids, _ in bucket], wide=wide)
        except Exception as error:  # noqa: BLE001 - a worker must outlive whatever the model does
            return [(item, error) for item, _, _ in bucket]
        lengths = [len(ids) for _, ids, _ in bucket]
        seconds = time.perf_counter() - started
        self._observe(Run(len(bucket), sum(lengths), lengths[-1] * len(bucket), seconds, inline))
        return [
            (item, Answer(score, len(ids), cut_off))
            for (item, ids, cut_off), score in zip(bucket, scores, strict=True)
        ]


def _deliver(outcomes: Sequence[Outcome], started: float, finished: float) -> None:
    for item, answer in outcomes:
        item.job.settle(item.index, answer, started, finished)
