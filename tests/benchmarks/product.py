"""How long llmctl's verbs take, and what the gateway costs: measured on a fresh project, as a user has it.

Every figure is a whole process, from its start to its end, on a stack of two servers. `git status` would do as a
yardstick of start-up; `python -c pass` is printed beside it.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.product import Product

REQUESTS = 2000


@dataclass(frozen=True)
class Figure:
    """One measured value, with the limit it must keep and the number of runs it is the median of."""

    name: str
    value: float
    unit: str
    limit: float | None
    runs: int

    def row(self) -> str:
        """A row of the table."""
        limit = "" if self.limit is None else f"<= {self.limit:g} {self.unit}"
        return f"| {self.name} | {self.value:.2f} {self.unit} | {limit} | {self.runs} |"


def run(rounds: int = 3) -> list[Figure]:
    """Measure everything, `rounds` times."""
    with tempfile.TemporaryDirectory() as folder:
        product = Product.fresh(Path(folder))
        try:
            return _figures(product, rounds)
        finally:
            product("down", "--all", "--yes")
            product.kill_everything()


def _figures(product: Product, rounds: int) -> list[Figure]:
    times: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], object]) -> None:
        started = time.perf_counter()
        act()
        times.setdefault(name, []).append(time.perf_counter() - started)

    product("--help")
    costs = []
    for _ in range(rounds):
        timed(
            "`python -c pass`, for comparison", lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)
        )
        timed("`llmctl --help`", lambda: product("--help"))
        timed("`llmctl up` from nothing", lambda: product.good("up"))
        timed("`llmctl up`, unchanged", lambda: product.good("up"))
        timed("`llmctl preview`, unchanged", lambda: product.good("preview"))
        timed("`llmctl status`", lambda: product.good("status"))
        costs.append(gateway_cost(product))
        timed("`llmctl down`", lambda: product.good("down", "--yes"))
        product.good("down", "--all", "--yes")
    limits = {
        "`llmctl --help`": 0.25,
        "`llmctl up` from nothing": 12,
        "`llmctl up`, unchanged": 5,
        "`llmctl down`": 6,
    }
    figures = [
        Figure(name, statistics.median(each), "s", limits.get(name), rounds) for name, each in times.items()
    ]
    names = ("p50 of a request, server's own port", "p50 of a request, through the gateway")
    for name, each in zip(names, zip(*costs, strict=True), strict=True):
        figures.append(Figure(name, statistics.median(each), "ms", None, rounds))
    added = statistics.median(through - direct for direct, through in costs)
    return [*figures, Figure("what the gateway adds at p50, one client", added, "ms", 1.5, rounds)]


def gateway_cost(product: Product) -> tuple[float, float]:
    """p50 in ms of one client, asking a server directly and through the gateway in turns: drift cancels."""
    replicas = product.good("status")["replicas"]
    ports = [
        int(next(each["address"] for each in replicas if each["component"] == component).rsplit(":", 1)[1])
        for component in ("server", "gateway")
    ]
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in ports]
    seen: list[list[float]] = [[], []]
    headers = {"authorization": f"Bearer {product.key}", "content-type": "application/json"}
    for number in range(REQUESTS):
        body = f'{{"text": "a warm and funny film, number {number}"}}'.encode()
        for client, latencies in zip(clients, seen, strict=True):
            started = time.perf_counter()
            client.request("POST", "/v1/classify", body, headers)
            response = client.getresponse()
            response.read()
            latencies.append((time.perf_counter() - started) * 1000)
            if response.status != http.client.OK:
                raise RuntimeError(f"status {response.status}")
    return statistics.median(seen[0]), statistics.median(seen[1])
