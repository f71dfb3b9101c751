"""The work of the server: `POST /v1/classify` from body to answer, and every way in which that can fail."""

from __future__ import annotations

import asyncio
import math
import time
from asyncio import TimerHandle
from functools import partial

from llmctl_server.body import ClientGone, Receive, read_body
from llmctl_server.classify import ClassifyRequest, parse, render
from llmctl_server.errors import ApiError
from llmctl_server.exchange import Exchange, Reply, timeout_seconds
from llmctl_server.jobs import Answer, Job, QueueFull, TooManyTokens
from llmctl_server.scheduler import Scheduler
from llmctl_server.settings import Settings
from llmctl_server.state import DRAINING, READY, State

WATCH_AFTER_SECONDS = 0.1
"""When a request that still waits starts to look for its client's leaving. Most are answered before."""


class DeadlineExceeded(Exception):
    """Raised when the caller's own deadline is over."""


class Stopping(Exception):
    """Raised for requests that are unfinished when the grace is over."""


class ClassifyService:
    """Answers classification requests."""

    def __init__(self, settings: Settings, state: State) -> None:
        """Store the limits; `serve` gives it a model.

        Args:
            settings: limits and the model's name.
            state: tells whether work is accepted, and counts it.
        """
        self._settings = settings
        self._state = state
        self._scheduler: Scheduler | None = None

    def serve(self, scheduler: Scheduler) -> None:
        """Answer by `scheduler`, which has been started."""
        self._scheduler = scheduler

    def stop(self) -> int:
        """Refuse what is unfinished, let the workers end, and return how many requests were cut."""
        return self._scheduler.stop(Stopping()) if self._scheduler else 0

    @property
    def alive(self) -> bool:
        """Whether the workers run, as far as they were started."""
        return self._scheduler is None or self._scheduler.alive

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return self._scheduler.waiting if self._scheduler else 0

    @property
    def backlog_seconds(self) -> float:
        """Estimate of the time until the waiting texts are done."""
        return self._scheduler.backlog_seconds() if self._scheduler else 0.0

    async def handle(self, exchange: Exchange) -> Reply:
        """Answer one request.

        Raises:
            ApiError: it is refused.
            ClientGone: its client left.
        """
        scheduler = self._accepting()
        self._state.in_flight += 1
        try:
            deadline = timeout_seconds(exchange.headers)
            body = await read_body(exchange.receive, exchange.headers, self._settings.max_body_bytes)
            request = parse(body, model=self._settings.model_name, max_texts=self._settings.max_texts)
            exchange.texts = len(request.texts)
            job = Job(request.texts, request.truncate, asyncio.get_running_loop())
            try:
                answers = await _wait(scheduler, job, exchange, deadline)
            except Exception as error:
                raise self._translate(error, request, deadline) from error
            finally:
                exchange.queue_seconds = job.queue_seconds
                exchange.run_seconds = job.run_seconds
            exchange.tokens = sum(answer.tokens for answer in answers)
            body = render(request, answers, model=self._settings.model_name, request_id=exchange.request_id)
            return Reply(body)
        finally:
            self._state.in_flight -= 1

    def _accepting(self) -> Scheduler:
        if self._state.status == READY and self._scheduler is not None:
            return self._scheduler
        if self._state.status == DRAINING:
            seconds = self._state.retry_after(time.monotonic())
            raise ApiError(503, "draining", "this server is stopping; send the request again", retry_after=seconds)
        raise ApiError(503, "starting", "the model is being loaded; send the request again", retry_after=1)

    def _translate(self, error: Exception, request: ClassifyRequest, deadline: float | None) -> Exception:
        """The refusal that a failure of the scheduler becomes; what is no refusal stays as it is."""
        if isinstance(error, TooManyTokens):
            name = request.name_of(error.index)
            message = (
                f"`{name}` has {error.tokens} tokens, the limit is {self._settings.max_tokens}; "
                'shorten it, or send "truncate": true to have its end cut off'
            )
            return ApiError(422, "too_many_tokens", message, name)
        if isinstance(error, QueueFull):
            message = (
                f"the queue is full: {error.waiting} texts wait, which takes about {error.seconds:.1f} s, "
                f"and {len(request.texts)} more do not fit"
            )
            return ApiError(429, "queue_full", message, retry_after=max(1, math.ceil(error.seconds)))
        if isinstance(error, DeadlineExceeded):
            message = f"not done within the {deadline or 0:g} s that x-llmctl-timeout-ms allows"
            return ApiError(504, "deadline_exceeded", message, "x-llmctl-timeout-ms")
        if isinstance(error, Stopping):
            return ApiError(503, "draining", "the server stopped before the answer; send it again", retry_after=1)
        return error


async def _wait(scheduler: Scheduler, job: Job, exchange: Exchange, deadline: float | None) -> list[Answer]:
    """Wait for the answers while watching the client and its deadline."""
    loop = asyncio.get_running_loop()
    watchers: list[asyncio.Task[None]] = []
    watch = partial(_start_watching, watchers, scheduler, job, exchange.receive)
    timers: list[TimerHandle] = [loop.call_later(WATCH_AFTER_SECONDS, watch)]
    if deadline is not None:
        left = deadline - (time.perf_counter() - exchange.began)
        timers.append(loop.call_later(max(0.0, left), scheduler.drop, job, DeadlineExceeded()))
    try:
        return await scheduler.answer(job)
    finally:
        for timer in timers:
            timer.cancel()
        for watcher in watchers:
            watcher.cancel()


def _start_watching(watchers: list[asyncio.Task[None]], scheduler: Scheduler, job: Job, receive: Receive) -> None:
    watchers.append(asyncio.get_running_loop().create_task(_drop_when_gone(scheduler, job, receive)))


async def _drop_when_gone(scheduler: Scheduler, job: Job, receive: Receive) -> None:
    # The body has been read to its end, so the next message can only be that the client left.
    await receive()
    scheduler.drop(job, ClientGone())
