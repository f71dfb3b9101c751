"""A small closed-loop HTTP client, for machines without wrk: each connection asks again when it has its answer.

It is slower than wrk and shares the processor with the server, so its rates are lower; ratios within one run hold.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Latencies of the good answers, and how many were not good."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0


def run(
    port: int, path: str, bodies: Sequence[bytes], key: str, *, connections: int, seconds: float
) -> dict[str, float]:
    """Load a server and return what wrk's script prints: seconds, answers, failures, p50_ms, p99_ms."""
    tally = Tally()
    began = time.perf_counter()
    asyncio.run(_all(port, path, itertools.cycle(bodies), key, connections, began + seconds, tally))
    passed = time.perf_counter() - began
    ordered = sorted(tally.seconds) or [0.0]
    return {
        "seconds": passed,
        "answers": len(tally.seconds) + tally.failures,
        "failures": tally.failures,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
    }


async def _all(
    port: int, path: str, bodies: Iterator[bytes], key: str, connections: int, end: float, tally: Tally
) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n".encode()
    )
    await asyncio.gather(*(_one(port, head, bodies, end, tally) for _ in range(connections)))


async def _one(port: int, head: bytes, bodies: Iterator[bytes], end: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < end:
            body = next(bodies)
            began = time.perf_counter()
            writer.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            if answer.split(b" ", 2)[1] == b"200":
                tally.seconds.append(time.perf_counter() - began)
            else:
                tally.failures += 1
    except (OSError, EOFError, ValueError):
        tally.failures += 1
    finally:
        writer.close()
