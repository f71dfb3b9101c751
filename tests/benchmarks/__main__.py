"""`make bench`: measure the product and the server beside its peers, and write `docs/benchmarks.md`."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import product

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).resolve().parent / "server" / "bench_server.py"
PAGE = ROOT / "docs" / "benchmarks.md"

HEAD = """\
# Benchmarks

Written by `make bench` on {day}. Machines differ and drift: compare rows of one table only.

## The product

A fresh project with two servers on this machine; each figure is the median of whole processes.

| what | measured | must be | runs |
|---|---|---|---|
{rows}

## The server beside its peers

Requests per second (p50/p99 in ms) by kind of text and number of clients: S are short texts (about 23 tokens),
L long ones (about 280), cN means N clients. "ours xN": llmctl's rate is N times that of the peer, in the same run.
llmctl has API keys, limits, metrics and the request log on; the peers have none of them. All use two threads.
FastAPI + torch f32 calls the same model, unquantized, at the true length of each text.

{server}
"""


def main() -> None:
    """Measure, print, write."""
    server = subprocess.run(
        [sys.executable, str(SERVER), "--rounds", "3"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    rows = "\n".join(figure.row() for figure in product.run())
    text = HEAD.format(day=f"{datetime.now(UTC):%Y-%m-%d}", rows=rows, server=server.strip())
    PAGE.write_text(text)
    print(text)  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()
