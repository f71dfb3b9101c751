"""llmctl as its users have it: a process, a project folder, a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ENGINE_VARIABLES = ("LLMCTL_PULUMI", "LANG", "PATH")


@dataclass
class Product:
    """One project of one user.

    Attributes:
        folder: holds `llmctl.yaml`.
        home: `LLMCTL_HOME`.
        environment: what the process gets; nothing else.
    """

    folder: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def fresh(cls, root: Path, *, replicas: int = 2) -> Product:
        """A new project with one `local` stack in `root`, never up."""
        home = root / "llmctl"
        folder = root / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ENGINE_VARIABLES if name in os.environ}
        product = cls(folder, home, {**kept, "HOME": str(root), "LLMCTL_HOME": str(home)})
        done = product("init", "--name", "shop")
        assert done.returncode == 0, done.stderr
        product.configure(scaling={"replicas": replicas})
        return product

    def configure(self, **sections: Any) -> None:
        """Write `stacks/local.yaml`: the target, and `sections` as JSON, which is YAML."""
        document = {"target": "local", **sections}
        (self.folder / "stacks" / "local.yaml").write_text(json.dumps(document, indent=1))

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "llmctl", *arguments]

    def __call__(
        self, *arguments: str, seconds: float = 120, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, without a terminal."""
        return subprocess.run(
            self.command(*arguments),
            check=False,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, so that a signal reaches it alone."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def good(self, *arguments: str, seconds: float = 120) -> Any:
        """Run a command that must succeed, and return its JSON document."""
        done = self(*arguments, "--output", "json", seconds=seconds)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def up(self) -> Any:
        """Bring the stack up; the `Update` document."""
        return self.good("up", "local")

    @property
    def root(self) -> Path:
        """What the local target provisions is below this folder."""
        return self.home / "stacks" / "shop" / "local"

    @property
    def key(self) -> str:
        """The first API key."""
        return (self.root / "keys" / "default").read_text().strip()

    def processes(self) -> list[psutil.Process]:
        """Every process of this user of llmctl that is not a command of a test: servers, gateway, supervisor."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.root) in process.environ().get("LLMCTL_STACK_ID", ""):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def engines(self) -> list[psutil.Process]:
        """Every engine process that works on this home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("PULUMI_HOME", "").startswith(str(self.home)):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def listening(self) -> set[int]:
        """Ports on which its processes listen."""
        return {
            connection.laddr.port
            for process in self.processes()
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }

    def kill_everything(self) -> None:
        """Whatever a failed test left."""
        for process in [*self.engines(), *self.processes()]:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue


def eventually(condition: Callable[[], bool], seconds: float = 10.0, step: float = 0.05) -> bool:
    """Whether `condition` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return condition()
