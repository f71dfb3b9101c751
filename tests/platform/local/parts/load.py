"""Clients that keep asking while something happens, and count every request that fails."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    replicas: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> dict[str, int]:
        """Everything that was not a 200, and how often."""
        return {name: count for name, count in self.statuses.items() if name != "200"}


@contextmanager
def load(
    port: int, key: str, clients: int, pause: float = 0.02, body: bytes = b'{"text": "fine"}'
) -> Iterator[Seen]:
    """Run `clients` clients with kept-alive connections while the block runs."""
    seen, lock, stop = Seen(), threading.Lock(), threading.Event()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        while not stop.is_set():
            status, answer = _ask(connection, key, body)
            with lock:
                seen.statuses[status] += 1
                seen.replicas[answer.get("replica", "")] += 1
                seen.marks[answer.get("mark") or ""] += 1
            time.sleep(pause)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(connection: http.client.HTTPConnection, key: str, body: bytes) -> tuple[str, dict[str, str]]:
    try:
        connection.request("POST", "/v1/classify", body, {"x-api-key": key})
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__, {}
    return str(answer.status), json.loads(raw) if answer.status == 200 else {}
