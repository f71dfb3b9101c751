from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from llmctl_stacks.engine.command import CommandResult, EngineCommand
from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.engine.workspace import engine_environment, open_workspace, prune_history
from llmctl_stacks.home import Home

sys.path.insert(0, str(Path(__file__).parent))
import fakes

SPEC = StackSpec("demo", "base", "local")
SLEEP = """
def stop(number, frame):
    print('stopping', flush=True)
    if os.path.exists('stubborn'): return
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
open('ready', 'w').close()
while True: time.sleep(0.05)
"""


def _command(tmp_path: Path, body: str, **options: object) -> EngineCommand:
    cli = fakes.script(tmp_path / "pulumi", body)
    return EngineCommand(cli, tmp_path, {"PATH": os.environ["PATH"], "ONLY": "this"}, **options)  # type: ignore[arg-type]


def _run_until(ready: Path, command: EngineCommand, then: Callable[[], None]) -> CommandResult:
    def wait() -> None:
        while not ready.exists():
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    result = command.run(["up"])
    thread.join()
    return result


@pytest.mark.parametrize("tied", [True, False])
def test_a_failure_is_an_exit_code_with_what_was_said(tmp_path: Path, tied: bool) -> None:
    body = (
        "print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))\nos.write(2, b'bad \\xff')\nsys.exit(7)"
    )

    result = _command(tmp_path, body, tied=tied).run(["up", "--yes"])

    arguments, environment, folder = json.loads(result.stdout)
    assert (result.code, arguments) == (7, ["--non-interactive", "up", "--yes"])
    assert environment["ONLY"] == "this"
    assert not {name for name in environment if name.startswith(("LLMCTL_", "PYTHON"))}
    assert folder == str(tmp_path)
    assert result.stderr.startswith("bad")
    assert result.seconds > 0


def test_the_output_stays_in_private_files(tmp_path: Path) -> None:
    _command(tmp_path, "print('hello'); open('made', 'w').close()").run(["up"])

    assert (tmp_path / "engine.out").read_text() == "hello\n"
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("engine.out", "engine.err", "made")} == {0o600}


def test_the_cli_leads_its_own_session(tmp_path: Path) -> None:
    pids: list[int] = []

    result = _command(tmp_path, "print(os.getsid(0), os.getpid())", on_start=pids.append, tied=True).run([])

    assert result.stdout.split() == [str(pids[0])] * 2


def test_an_interrupt_reaches_the_cli_alone(tmp_path: Path) -> None:
    command = _command(tmp_path, SLEEP)

    result = _run_until(tmp_path / "ready", command, command.interrupt)

    assert (result.code, result.stdout) == (1, "stopping")


def test_a_command_that_was_interrupted_before_it_began_does_not_begin(tmp_path: Path) -> None:
    command = _command(tmp_path, "open('ran', 'w').close()")
    command.interrupt()

    assert command.run(["up"]).code == -signal.SIGINT
    assert not (tmp_path / "ran").exists()


def test_killing_ends_the_cli_and_its_children(tmp_path: Path) -> None:
    (tmp_path / "stubborn").touch()
    child = "import subprocess\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    command = _command(tmp_path, child + "open('child', 'w').write(str(p.pid))\n" + SLEEP)

    result = _run_until(tmp_path / "ready", command, command.kill)

    assert result.code == -signal.SIGKILL
    pid = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_happens_to_nobody(tmp_path: Path) -> None:
    command = _command(tmp_path, "")
    command.kill()

    assert command.run([]).code == 0
    command.kill()
    command.interrupt()


def test_what_on_start_raises_leaves_no_process(tmp_path: Path) -> None:
    seen: list[int] = []

    def fail(pid: int) -> None:
        seen.append(pid)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        _command(tmp_path, SLEEP, on_start=fail).run([])
    assert not psutil.pid_exists(seen[0])


def test_a_cli_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EngineCommand(tmp_path / "none", tmp_path, {}).run([])


def test_the_work_folder_is_private_and_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    folder = open_workspace(home, SPEC)
    (folder / "Pulumi.local.yaml").write_text("encryptionsalt: x")

    assert open_workspace(home, SPEC) == folder
    assert (folder / "Pulumi.yaml").read_text() == "name: demo-base\nruntime: python\nmain: .\n"
    assert (folder / "Pulumi.local.yaml").read_text() == "encryptionsalt: x"
    assert {path.stat().st_mode & 0o077 for path in (folder, home.state, home.pulumi)} == {0}


def test_the_engine_sees_none_of_the_callers_pulumi_settings(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    given = {
        "PATH": "/bin",
        "AWS_PROFILE": "mine",
        "PULUMI_ACCESS_TOKEN": "leak",
        "PULUMI_BACKEND_URL": "https://elsewhere",
        "PULUMI_SKIP_CHECKPOINTS": "true",
        "LLMCTL_PASSPHRASE": "leak",
        "GRPC_TRACE": "all",
    }

    environment = engine_environment(home, {"llmctl": 5, "aws": 6}, given)

    assert "leak" not in environment.values()
    assert (environment["PATH"], environment["AWS_PROFILE"]) == ("/bin", "mine")
    assert not {"PULUMI_SKIP_CHECKPOINTS", "GRPC_TRACE", "LLMCTL_PASSPHRASE"} & set(environment)
    assert environment["PULUMI_BACKEND_URL"].startswith(f"file://{home.state}")
    assert environment["PULUMI_HOME"] == str(home.pulumi)
    assert environment["PULUMI_CONFIG_PASSPHRASE"] == home.passphrase()
    assert environment["PULUMI_DEBUG_PROVIDERS"] == "aws:6,llmctl:5"
    assert "PULUMI_DEBUG_PROVIDERS" not in engine_environment(home, {}, given)


def test_history_is_pruned_by_age(tmp_path: Path) -> None:
    home = Home(tmp_path)
    prune_history(home, SPEC)
    folder = home.state / ".pulumi" / "history" / "demo-base" / "local"
    folder.mkdir(parents=True)
    for number in range(25):
        for part in ("history", "checkpoint"):
            (folder / f"local-{number:03d}.{part}.json").touch()

    prune_history(home, SPEC)

    kept = {f"local-{number:03d}.{part}.json" for number in range(5, 25) for part in ("history", "checkpoint")}
    assert {path.name for path in folder.iterdir()} == kept
