"""A process that updates a stack under its lock, to be interrupted: `victim.py HOME STORE CLI SLOW LATE`.

SLOW and LATE are `verb:name:seconds` or `-`. It prints `ended: <error class or ok>` when it comes to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from things import TYPE, Plan, Things, chain

from llmctl_infra.provider.host import ProviderHost
from llmctl_stacks.engine.operations import Engine
from llmctl_stacks.engine.signals import graceful
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.errors import LlmctlError
from llmctl_stacks.home import Home
from llmctl_stacks.lock import StackLock


def _fault(text: str) -> dict[tuple[str, str], float]:
    if text == "-":
        return {}
    verb, name, seconds = text.split(":")
    return {(verb, name): float(seconds)}


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(home: Home, store: Path, cli: Path, plan: Plan) -> str:
    spec = StackSpec("demo", "base", "local")
    lock = StackLock(home, spec.project, spec.stack)
    wanted = {
        "first": {"size": 1},
        "second": {"size": 2, "after": "first"},
        "third": {"size": 3, "after": "second"},
    }
    try:
        with lock.acquire("up") as lease, ProviderHost({TYPE: Things(store, plan)}) as host:
            engine = Engine(home, cli, lease.record_engine)
            with graceful(engine, lambda line: _tell(f"notice: {line}"), lambda: 1):
                engine.run("up", spec, lambda: chain(wanted), {"llmctl": host.port}, failures=host.failures)
    except LlmctlError as error:
        return type(error).__name__
    return "ok"


if __name__ == "__main__":
    _, home, store, cli, slow, late = sys.argv
    plan = Plan(slow=_fault(slow), late=_fault(late))
    _tell(f"ended: {main(Home(Path(home)), Path(store), Path(cli), plan)}")
