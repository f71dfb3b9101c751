"""Closed-loop HTTP/1.1 load on loopback, bounded in time, that counts what went wrong.

Each client keeps one connection, sends its next request when it has its answer, and opens a new connection only
when the server said `connection: close` (or broke it: that is a failure).
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

BODY = json.dumps({"text": "a warm and funny film"}).encode()


@dataclass
class Tally:
    """What a run of clients saw.

    Attributes:
        statuses: answers by HTTP status.
        failures: what broke instead of answering, one line each.
        seconds: latency of every answer, in order of completion.
    """

    statuses: dict[int, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many requests got any answer."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """How many requests got no answer, or one that says that the server is at fault."""
        return len(self.failures) + sum(n for status, n in self.statuses.items() if status >= 500)


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: bytes
) -> tuple[int, bool]:
    writer.write(head + body)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(answer.split(" ", 2)[1])
    length = next(
        (int(line.split(":")[1]) for line in answer.split("\r\n") if line.startswith("content-length:")), 0
    )
    await reader.readexactly(length)
    return status, "connection: close" in answer


async def _client(port: int, head: bytes, body: bytes, stop: Callable[[], bool], tally: Tally) -> None:
    reader = writer = None
    while not stop():
        started = time.perf_counter()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert reader is not None
            status, close = await asyncio.wait_for(_request(reader, writer, head, body), 30)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            tally.failures.append(f"{type(error).__name__}: {error}")
            writer = None
            await asyncio.sleep(0.01)
            continue
        tally.seconds.append(time.perf_counter() - started)
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if close:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


class Load:
    """`with Load(port, key, clients=32) as load:` keeps asking while the block runs; read `load.tally` after it.

    Args:
        port: loopback port.
        key: API key, or None.
        clients: how many connections ask at once.
        path: where to.
        body: what to send.
        limit: seconds after which the clients stop by themselves.
    """

    def __init__(
        self,
        port: int,
        key: str | None,
        *,
        clients: int,
        path: str = "/v1/classify",
        body: bytes = BODY,
        limit: float = 60,
    ) -> None:
        authorization = f"authorization: Bearer {key}\r\n" if key else ""
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        self._port, self._body, self._clients, self._limit = port, body, clients, limit
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.tally = Tally()

    async def _run(self) -> None:
        end = time.monotonic() + self._limit

        def stop() -> bool:
            return self._done.is_set() or time.monotonic() > end

        await asyncio.gather(
            *(_client(self._port, self._head, self._body, stop, self.tally) for _ in range(self._clients))
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(40)
