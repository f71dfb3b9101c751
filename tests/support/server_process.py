"""The real server as a process: started on a free port, its log lines read, ended for sure."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

_PACKAGES = Path(__file__).resolve().parents[2] / "model_image"


class ServerProcess:
    """`with ServerProcess(bundle, LLMCTL_MAX_TOKENS="10") as server:` runs until the block ends.

    Args:
        bundle: folder or tar of the model, or None when the environment says where it is.
        ready: wait for the line that says so.
        program: arguments of the interpreter.
        pass_fds: file descriptors that the process inherits.
        environment: settings; the port is free and the drain delay 0 unless they say otherwise.
    """

    def __init__(
        self,
        bundle: Path | None,
        *,
        ready: bool = True,
        program: tuple[str, ...] = ("-m", "llmctl_server"),
        pass_fds: tuple[int, ...] = (),
        **environment: str,
    ) -> None:
        settings = {"LLMCTL_PORT": "0", "LLMCTL_DRAIN_DELAY": "0", **environment}
        if bundle is not None:
            settings["LLMCTL_MODEL"] = str(bundle)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLMCTL_")}
        self.process = subprocess.Popen(
            [sys.executable, *program],
            env={**inherited, "PYTHONPATH": str(_PACKAGES), **settings},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            pass_fds=pass_fds,
        )
        self.lines: list[str] = []
        self.port = 0
        self._ready: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait for readiness and learn the port."""
        line = self._ready.get(timeout=30)
        if line is None:
            raise AssertionError("the server ended before it was ready:\n" + "".join(self.lines))
        self.port = line["port"]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        """A client of this server that reads no proxy settings."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end and return the exit code; all lines have been read then."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("{") and json.loads(line)["message"] == "ready":
                self._ready.put(json.loads(line))
        self._ready.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
