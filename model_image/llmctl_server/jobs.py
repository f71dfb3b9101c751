"""What travels between the event loop and the workers: one request's texts, and what became of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

COST_OF_A_TEXT = 16
"""What a text costs beside its characters, in characters: scheduling, padding, the head of the model."""


class QueueFull(Exception):
    """Raised when the texts of a request do not fit into the queue.

    Attributes:
        waiting: texts that wait now.
        seconds: estimate of when the work that waits now will be done.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        super().__init__(f"{waiting} texts wait")
        self.waiting = waiting
        self.seconds = seconds


class TooManyTokens(Exception):
    """Raised when a text is longer than the limit and may not be cut.

    Attributes:
        index: which of the request's texts.
        tokens: how many it has.
    """

    def __init__(self, index: int, tokens: int) -> None:
        super().__init__(f"text {index} has {tokens} tokens")
        self.index = index
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says about one text.

    Attributes:
        score: probability that the text is positive, 0 to 1.
        tokens: tokens that the model read.
        truncated: whether the text was longer and was cut.
    """

    score: float
    tokens: int
    truncated: bool


class Job:
    """The texts of one request. Lives on the event loop; workers only read `texts` and `truncate`.

    Attributes:
        texts: one or more.
        truncate: cut texts that are too long instead of refusing them.
        future: done when every text has its answer, or with the reason why not.
        answers: one per text; None until it is known.
        left: texts without an answer.
        received: when the job was made, in seconds of `time.perf_counter`, as the two below.
        started: when the first of its texts was taken up; infinite until then.
        finished: when the last answer was known; `received` until then.
    """

    __slots__ = ("answers", "finished", "future", "left", "received", "started", "texts", "truncate")

    def __init__(self, texts: Sequence[str], truncate: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.texts = texts
        self.truncate = truncate
        self.future: asyncio.Future[None] = loop.create_future()
        self.answers: list[Answer | None] = [None] * len(texts)
        self.left = len(texts)
        self.received = self.finished = time.perf_counter()
        self.started = math.inf

    @property
    def queue_seconds(self) -> float:
        """Time until a worker took the job up."""
        return min(self.started, self.finished) - self.received

    @property
    def run_seconds(self) -> float:
        """Time from then to the last answer."""
        return max(0.0, self.finished - self.started)

    @property
    def result(self) -> list[Answer]:
        """The answers, once `future` has succeeded."""
        return [answer for answer in self.answers if answer is not None]

    def settle(self, index: int, answer: Answer | Exception, started: float, finished: float) -> None:
        """Record the answer for one text, or fail the whole job; call on the event loop.

        Args:
            index: which text.
            answer: what the model said, or why it said nothing.
            started: when the text was taken up.
            finished: when the answer was known.
        """
        if self.future.done():
            return
        self.started = min(self.started, started)
        self.finished = finished
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
            return
        self.answers[index] = answer
        self.left -= 1
        if not self.left:
            self.future.set_result(None)


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a job, waiting for a worker."""

    job: Job
    index: int

    @property
    def text(self) -> str:
        """The text itself."""
        return self.job.texts[self.index]

    @property
    def cost(self) -> int:
        """Rough price of the text, in characters: known before it is tokenized."""
        return len(self.job.texts[self.index]) + COST_OF_A_TEXT


@dataclass(frozen=True, slots=True)
class Run:
    """One call of the model, for the metrics.

    Attributes:
        texts: how many shared it.
        tokens: their tokens, without padding.
        padded: tokens with padding.
        seconds: how long it took.
        inline: on the event loop, because the server was idle.
    """

    texts: int
    tokens: int
    padded: int
    seconds: float
    inline: bool
