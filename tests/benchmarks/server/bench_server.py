"""Measure the server beside the servers that people write first, all in one run on one machine.

    python tests/benchmarks/server/bench_server.py [--seconds 5] [--rounds 1] [--out report.json]

Prints a Markdown table, and JSON to `--out`. Each server is started fresh, warmed for two seconds, loaded cell by
cell, and stopped; compare within a run only. The server has API keys, limits, metrics and the request log on.
Uses wrk when it is installed; the peers need `fastapi`, and `torch` for one of them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "model_image")]

import closed_loop  # noqa: E402
import texts  # noqa: E402

KEY = "llmctl_bench"
PATH = "/v1/classify"
CELLS = (("S", 1), ("S", 16), ("S", 64), ("L", 1), ("L", 64))
WARM_SECONDS = 2.0


@dataclass(frozen=True)
class Candidate:
    """A server to measure: how it is started and what it needs."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    needs: tuple[str, ...] = ()


def candidates(bundle: Path, scratch: Path, threads: int) -> list[Candidate]:
    """The servers of a run, ours first."""
    keys = {"keys": [{"name": "bench", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]}
    (scratch / "keys.json").write_text(json.dumps(keys))
    ours = {
        "LLMCTL_MODEL": str(bundle),
        "LLMCTL_KEYS_FILE": str(scratch / "keys.json"),
        "LLMCTL_REQUEST_LOG": str(scratch / "requests.db"),
        "LLMCTL_THREADS": str(threads),
        "LLMCTL_DRAIN_DELAY": "0",
    }
    uvicorn = (sys.executable, "-m", "uvicorn", "peers:app", "--no-access-log", "--log-level", "warning")
    peer = {"BUNDLE": str(bundle), "THREADS": str(threads)}
    return [
        Candidate("llmctl", (sys.executable, "-m", "llmctl_server"), ours),
        Candidate("FastAPI + torch f32", uvicorn, {**peer, "PEER": "torch"}, ("fastapi", "torch")),
        Candidate("FastAPI + onnxruntime int8", uvicorn, {**peer, "PEER": "onnx"}, ("fastapi",)),
    ]


@contextmanager
def started(candidate: Candidate, port: int) -> Iterator[tuple[psutil.Process, float]]:
    """Start a server; yields its process and the seconds from its start to its first answer."""
    path = os.pathsep.join([str(HERE), str(ROOT / "model_image"), os.environ.get("PYTHONPATH", "")])
    ours = candidate.argv[-1] == "llmctl_server"
    argv = candidate.argv if ours else (*candidate.argv, "--port", str(port))
    environment = {**os.environ, **candidate.environment, "PYTHONPATH": path, "LLMCTL_PORT": str(port)}
    began = time.perf_counter()
    with subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - began > 60:
                    raise SystemExit(f"{candidate.name} did not start: {' '.join(argv)}")
                time.sleep(0.02)
            yield psutil.Process(process.pid), time.perf_counter() - began
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{PATH}", json.dumps({"text": "good"}).encode(), {"x-api-key": KEY}
    )
    request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def load(port: int, bodies: Path, connections: int, seconds: float) -> dict[str, float]:
    """Load a server with one kind of bodies and return rate, latencies and failures."""
    if shutil.which("wrk"):
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "--latency"]
        done = subprocess.run(
            [*argv, "-s", str(HERE / "post.lua"), f"http://127.0.0.1:{port}"],
            env={**os.environ, "BODIES": str(bodies), "BENCH_KEY": KEY, "BENCH_PATH": PATH},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 90,
        )
        seen: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    else:
        lines = bodies.read_bytes().splitlines()
        seen = closed_loop.run(port, PATH, lines, KEY, connections=connections, seconds=seconds)
    return {
        "rate": round((seen["answers"] - seen["failures"]) / seen["seconds"], 1),
        "p50_ms": round(seen["p50_ms"], 2),
        "p99_ms": round(seen["p99_ms"], 2),
        "answers": seen["answers"],
        "failures": seen["failures"],
    }


def measure(candidate: Candidate, bodies: dict[str, Path], seconds: float) -> dict[str, Any]:
    """One server, all cells."""
    port = _free_port()
    with started(candidate, port) as (process, ready):
        idle = _mebibytes(process)
        load(port, bodies["S"], 16, WARM_SECONDS)
        cells = {}
        for kind, connections in CELLS:
            cells[f"{kind} c{connections}"] = load(port, bodies[kind], connections, seconds)
        return {"ready_s": round(ready, 2), "idle_mib": idle, "loaded_mib": _mebibytes(process), "cells": cells}


def report(rounds: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The Markdown table: medians over the rounds, and the ratio to ours in brackets."""
    names = list(rounds[0])
    cells = [f"{kind} c{connections}" for kind, connections in CELLS]
    facts = ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [facts, "", f"| server | {' | '.join(cells)} | ready s | MiB idle / loaded |"]
    lines.append("|---" * (len(cells) + 3) + "|")
    for name in names:
        row = [_cell(rounds, name, cell) for cell in cells]
        ready, idle, loaded = (
            statistics.median(each[name][key] for each in rounds) for key in ("ready_s", "idle_mib", "loaded_mib")
        )
        lines.append(f"| {name} | {' | '.join(row)} | {ready:.2f} | {idle:.0f} / {loaded:.0f} |")
    return "\n".join(lines)


def _cell(rounds: list[dict[str, Any]], name: str, cell: str) -> str:
    """Medians over the rounds: rate, p50 and p99, and how many times as fast ours is."""
    own = [each["llmctl"]["cells"][cell] for each in rounds]
    seen = [each[name]["cells"][cell] for each in rounds]
    if any(each["answers"] == each["failures"] for each in seen):
        return "no answer in time"
    rate, p50, p99 = (statistics.median(each[key] for each in seen) for key in ("rate", "p50_ms", "p99_ms"))
    text = f"{rate:.0f} ({p50:.1f}/{p99:.0f} ms)"
    if name != "llmctl":
        text += f" ours x{statistics.median(a['rate'] / b['rate'] for a, b in zip(own, seen, strict=True)):.2f}"
    if failures := sum(each["failures"] for each in seen):
        text += f" **{failures:.0f} failed**"
    return text


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "model_image" / "models" / "attention")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each cell")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", action="append", help="name of a server, as in the table")
    parser.add_argument("--out", type=Path, help="file for the JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sources, origin = texts.snippets(options.bundle)
        bodies = {
            "S": texts.write(texts.short(sources), scratch / "S.txt"),
            "L": texts.write(texts.long(sources), scratch / "L.txt"),
        }
        chosen = []
        for each in candidates(options.bundle, scratch, options.threads):
            missing = [name for name in each.needs if importlib.util.find_spec(name) is None]
            if missing:
                say(f"left out: {each.name}: not installed: {', '.join(missing)}")
            elif not options.only or each.name in options.only or each.name == "llmctl":
                chosen.append(each)
        about = {"CPU": cpu(), "texts": origin, "client": "wrk" if shutil.which("wrk") else "closed_loop.py"}
        rounds: list[dict[str, Any]] = []
        for number in range(options.rounds):
            about[f"load before round {number + 1}"] = f"{os.getloadavg()[0]:.2f}"
            rounds.append({})
            for each in chosen:
                say(f"round {number + 1}: {each.name}")
                rounds[-1][each.name] = measure(each, bodies, options.seconds)
                time.sleep(1)
    if options.out:
        options.out.write_text(json.dumps({"about": about, "rounds": rounds}, indent=2) + "\n")
    print(report(rounds, about))  # noqa: T201 - a script's result


def say(line: str) -> None:
    """Tell on stderr what is going on."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a script's narration


def cpu() -> str:
    """Name and number of the processors."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name} x {os.cpu_count()}"


def _mebibytes(process: psutil.Process) -> float:
    """Resident memory of a process and its children."""
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / (1 << 20))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
