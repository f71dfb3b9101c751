from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from llmctl_stacks.engine import recovery, state
from llmctl_stacks.engine.operations import Engine
from llmctl_stacks.errors import DeployError, Interrupted, LockedError
from llmctl_stacks.lock import StackLock

if TYPE_CHECKING:
    from conftest import Rig

pytestmark = pytest.mark.engine

WANTED: dict[str, dict[str, Any]] = {
    "first": {"size": 1},
    "second": {"size": 2, "after": "first"},
    "third": {"size": 3, "after": "second"},
}


def _until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _heal(rig: Rig) -> tuple[str, ...]:
    rig.things.plan.slow.clear()
    rig.things.plan.late.clear()
    return recovery.heal(rig.engine, rig.spec, rig.host.find, rig.providers, rig.host.failures)


def _fresh(rig: Rig) -> None:
    """What another llmctl process would start with."""
    rig.engine = Engine(rig.home, rig.engine.cli)


def _pending(rig: Rig) -> tuple[str, ...]:
    return recovery.pending(rig.home, rig.spec)


def _assert_whole(rig: Rig, wanted: dict[str, dict[str, Any]] = WANTED) -> None:
    """Everything is there and recorded once; nothing is locked or pending; another `up` has nothing to do."""
    assert sorted(rig.things.store()) == sorted(rig.recorded()) == sorted(wanted)
    latest = state.deployment(rig.home, rig.spec)
    urns = [resource["urn"] for resource in latest["resources"]]
    assert len(urns) == len(set(urns))
    assert _pending(rig) == ()
    assert rig.pulumi_locks() == []
    assert {c.operation for c in rig.run("up", wanted, refresh=True).changes} == {"same"}
    assert rig.recorded()["first"].outputs["address"] == "first.local"


def _killed(rig: Rig, when: Callable[[], bool], wanted: dict[str, dict[str, Any]]) -> None:
    """Run `up`, and kill the engine as soon as `when` is true."""

    def kill() -> None:
        _until(when)
        time.sleep(0.2)
        rig.engine.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DeployError, match="killed"):
        rig.run("up", wanted)
    killer.join()


@pytest.fixture
def victim(rig: Rig) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a separate llmctl process that updates the stack."""
    started: list[subprocess.Popen[str]] = []
    here = Path(__file__).parent

    def start(slow: str = "-", late: str = "-") -> subprocess.Popen[str]:
        arguments = [str(rig.home.root), str(rig.things.folder), str(rig.engine.cli), slow, late]
        started.append(
            subprocess.Popen(
                [sys.executable, here / "victim.py", *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _engine_of(rig: Rig) -> psutil.Process:
    """The engine that the lock file names."""
    lock = json.loads(rig.home.lock("demo", "local").read_text())
    return psutil.Process(lock["engine"]["pid"])


def _kill_unnoticed(rig: Rig, process: subprocess.Popen[str]) -> None:
    """Kill llmctl so that the engine dies with it before it can notice: the interrupted step stays pending.

    Linux closes a dying process's sockets before it tells its children. An engine that runs may see its provider
    go, and record the step as failed, in that moment; one that is stopped sees nothing.
    """
    if sys.platform == "linux":
        _engine_of(rig).suspend()
    process.kill()
    process.wait()


def test_one_interrupt_lets_the_running_step_finish_and_loses_nothing(rig: Rig) -> None:
    rig.things.plan.slow["create", "second"] = 1.5
    timer = threading.Thread(
        target=lambda: (_until(rig.things.file("second").exists), rig.engine.interrupt(Interrupted("x")))
    )
    timer.start()

    with pytest.raises(Interrupted):
        rig.run("up", WANTED)
    timer.join()

    assert sorted(rig.recorded()) == ["first", "second"]
    assert _pending(rig) == ()
    assert rig.pulumi_locks() == []
    _fresh(rig)
    assert _heal(rig) == ()
    assert [c.operation for c in rig.run("up", WANTED).changes] == ["same", "same", "create"]
    assert rig.things.log() == ["create:first", "create:second", "create:third"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_winds_the_operation_down(
    rig: Rig, victim: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = victim(slow="create:second:1.5")
    _until(rig.things.file("second").exists)

    process.send_signal(number)
    told, _ = process.communicate(timeout=30)

    assert told.splitlines() == [
        f"notice: {number.name}: finishing 1 running operation, press again to stop at once",
        "ended: Interrupted",
    ]
    assert sorted(rig.recorded()) == ["first", "second"]
    rig.run("up", WANTED)
    _assert_whole(rig)


def test_a_second_signal_stops_at_once_and_recovery_takes_over_what_was_made(
    rig: Rig, victim: Callable[..., subprocess.Popen[str]]
) -> None:
    process = victim(slow="create:second:60")
    _until(rig.things.file("second").exists)

    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    told, _ = process.communicate(timeout=30)

    assert time.monotonic() - began < 15
    assert "`llmctl recover` mends what was under way" in told
    assert told.endswith("ended: Interrupted\n")
    assert _pending(rig) == ("creating second",)
    with pytest.raises(DeployError, match="was interrupted") as refused:
        rig.run("up", WANTED)
    assert refused.value.fix == "llmctl recover"

    assert _heal(rig) == ("took over second, which an interrupted create had made",)

    assert sorted(rig.recorded()) == ["first", "second"]
    rig.run("up", WANTED)
    _assert_whole(rig)
    assert rig.things.log() == ["create:first", "create:second", "create:third"]


def test_a_killed_engine_in_the_middle_of_a_create_is_mended(rig: Rig) -> None:
    rig.things.plan.slow["create", "second"] = 2.0
    _killed(rig, rig.things.file("second").exists, WANTED)

    assert len(rig.pulumi_locks()) == 1
    actions = _heal(rig)
    assert len(actions) == 2
    assert "engine's lock" in actions[0]
    assert actions[1] == "took over second, which an interrupted create had made"
    rig.run("up", WANTED)
    _assert_whole(rig)
    assert rig.things.log().count("create:second") == 1


def test_a_killed_llmctl_takes_its_engine_with_it_and_is_mended(
    rig: Rig, victim: Callable[..., subprocess.Popen[str]]
) -> None:
    process = victim(slow="create:second:60")
    _until(rig.things.file("second").exists)
    engine = _engine_of(rig)
    assert "pulumi" in engine.name()
    lock = StackLock(rig.home, "demo", "local")
    assert (lock.status().held, lock.status().verb) == (True, "up")

    _kill_unnoticed(rig, process)

    if sys.platform == "linux":
        _until(lambda: not psutil.pid_exists(engine.pid) or engine.status() == psutil.STATUS_ZOMBIE, 5)
    status = lock.status()
    assert (status.held, status.stale, status.verb) == (False, True, "up")
    with lock.acquire("up") as lease:
        assert lease.previous is not None
        assert lease.previous.process.pid == process.pid
        assert not lease.previous.engine or not lease.previous.engine.alive
        actions = _heal(rig)
        assert actions[-1] == "took over second, which an interrupted create had made"
        rig.run("up", WANTED)
    _assert_whole(rig)
    assert rig.things.log().count("create:second") == 1
    assert not lock.status().stale


def test_a_create_that_had_no_effect_yet_is_forgotten_and_done_once(
    rig: Rig, victim: Callable[..., subprocess.Popen[str]]
) -> None:
    process = victim(late="create:second:60")
    _until(lambda: "create:second" in rig.things.log())
    _kill_unnoticed(rig, process)

    assert _heal(rig)[-1] == "forgot the interrupted create of second: it is not there"

    rig.run("up", WANTED)
    _assert_whole(rig)


@pytest.mark.parametrize("fault", ["slow", "late"])
def test_a_killed_llmctl_is_mended_also_when_its_engine_saw_the_provider_go(
    rig: Rig, victim: Callable[..., subprocess.Popen[str]], fault: str
) -> None:
    process = victim(**{fault: "create:second:60"})
    _until(lambda: "create:second" in rig.things.log())
    process.kill()
    process.wait()

    _heal(rig)
    rig.run("up", WANTED)

    _assert_whole(rig)


def test_an_interrupted_replacement_leaves_one_resource(rig: Rig) -> None:
    rig.run("up", {**WANTED, "second": {"size": 2, "after": "first", "kind": "x"}})
    wanted = {**WANTED, "second": {"size": 2, "after": "first", "kind": "y"}}
    rig.things.plan.slow["create", "second"] = 2.0
    _killed(rig, lambda: rig.things.store().get("second", {}).get("kind") == "y", wanted)
    assert _pending(rig) == ("creating second",)

    assert _heal(rig)[-1] == "took over second, which an interrupted create had made"

    rig.run("up", wanted)
    _assert_whole(rig, wanted)
    assert rig.things.log().count("create:second") == 2  # the first one, and its replacement


def test_a_replacement_interrupted_between_delete_and_create_is_completed(rig: Rig) -> None:
    rig.run("up", {**WANTED, "second": {"size": 2, "after": "first", "kind": "x"}})
    wanted = {**WANTED, "second": {"size": 2, "after": "first", "kind": "y"}}
    rig.things.plan.late["create", "second"] = 60.0
    _killed(rig, lambda: rig.things.log().count("create:second") == 2, wanted)
    assert _pending(rig) == ("creating second",)

    assert _heal(rig)[-1] == "forgot the interrupted create of second: it is not there"

    rig.run("up", wanted)
    _assert_whole(rig, wanted)


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_an_interrupted_change_is_forgotten_and_read_again(rig: Rig, verb: str) -> None:
    rig.run("up", WANTED)
    wanted = {**WANTED, "third": {"size": 30, "after": "second"}}
    if verb == "delete":
        wanted = {name: WANTED[name] for name in ("first", "second")}
    rig.things.plan.slow[verb, "third"] = 2.0
    _killed(rig, lambda: f"{verb}:third" in rig.things.log(), wanted)
    kind = {"update": "updating", "delete": "deleting"}[verb]
    assert _pending(rig) == (f"{kind} third",)

    assert _heal(rig)[-1] == f"forgot an interrupted step ({kind} third) and read the resource again"

    rig.run("up", wanted)
    _assert_whole(rig, wanted)


def test_healing_keeps_a_private_copy_and_puts_it_back_when_the_engine_disagrees(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, victim: Callable[..., subprocess.Popen[str]]
) -> None:
    process = victim(slow="create:second:60")
    _until(rig.things.file("second").exists)
    process.kill()
    process.wait()
    path = state.checkpoint_path(rig.home, rig.spec)
    before = state.deployment(rig.home, rig.spec)
    broken = rig.home.work(rig.spec.pulumi_project, "local") / "Pulumi.local.yaml"
    kept = broken.read_text()
    broken.write_text("encryptionsalt: nonsense\n")

    with pytest.raises(DeployError, match="could not be mended; its state is as it was"):
        _heal(rig)
    assert state.deployment(rig.home, rig.spec) == before

    broken.write_text(kept)
    _heal(rig)
    backups = list((broken.parent / "backups").iterdir())
    assert [json.loads(backup.read_text())["checkpoint"]["latest"] for backup in backups] == [before]
    assert {file.stat().st_mode & 0o777 for file in (*backups, path)} == {0o600}


def test_a_lock_of_a_living_engine_or_of_another_host_is_left_alone(rig: Rig) -> None:
    rig.run("up", WANTED)
    folder = rig.home.state / ".pulumi" / "locks" / "organization" / "demo-base" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    lock = {"pid": 1, "username": "eve", "hostname": "far", "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "0.json").write_text(json.dumps(lock))

    with pytest.raises(LockedError, match="eve@far pid 1"):
        _heal(rig)

    (folder / "0.json").write_text(json.dumps({**lock, "hostname": socket.gethostname()}))
    assert _heal(rig) == ("removed the engine's lock of process 1, which is gone",)
    assert rig.pulumi_locks() == []


def test_two_at_once_do_not_touch_each_other(rig: Rig, victim: Callable[..., subprocess.Popen[str]]) -> None:
    first = victim(slow="create:second:1.5")
    _until(rig.things.file("second").exists)
    lock = StackLock(rig.home, "demo", "local")

    with pytest.raises(LockedError, match=rf"pid {first.pid} is running `up`"):
        lock.acquire("down")
    waited: list[str] = []
    with lock.acquire("up", 30, lambda status: waited.append(str(status.owner))):
        assert first.wait(timeout=10) == 0
        _assert_whole(rig)

    assert waited == [f"{lock.status().owner or waited[0]}"]
    assert waited[0].endswith(f"pid {first.pid}")
