from __future__ import annotations

import configparser
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from llmctl_infra.errors import ResourceError
from llmctl_infra.local import ports, processes
from llmctl_infra.local.paths import StackPaths, private_sockets
from llmctl_infra.local.programs import Program, program_text, supervisor_text
from llmctl_infra.local.supervisor import module_path
from llmctl_infra.local.sweep import leftovers, sweep
from llmctl_infra.local.waiting import InterruptedWait, wait_until
from llmctl_infra.names import STACK_ID_VARIABLE, stack_id

PROGRAM = Program(
    name="server-1",
    command=("/bin/a b", "--option", "100%"),
    folder=Path("/stack"),
    stdout=Path("/stack/logs/server-1.log"),
    stderr=None,
    stop_seconds=12.5,
    log_max_bytes=1 << 20,
    log_keep=3,
    environment={"PYTHONPATH": "/a:/b c"},
)


def read(text: str, section: str) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(text)
    return parser[section]


def test_a_program_is_told_so_that_the_supervisor_reads_what_was_meant() -> None:
    found = read(program_text(PROGRAM), "program:server-1")
    assert shlex.split(found["command"] % {}) == ["/bin/a b", "--option", "100%"]
    assert found["environment"] == 'PYTHONPATH="/a:/b c"'
    assert (found["stopwaitsecs"], found["autorestart"], found["redirect_stderr"]) == ("13", "true", "true")
    assert (found["stdout_logfile_maxbytes"], found["stdout_logfile_backups"]) == ("1048576", "3")
    two = read(program_text(replace(PROGRAM, stderr=Path("/stack/logs/e.log"))), "program:server-1")
    assert (two["redirect_stderr"], two["stderr_logfile"]) == ("false", "/stack/logs/e.log")


@pytest.mark.parametrize("path", ["/a;b", "/a#b", '/a"b', "/a'b", "/a\nb"])
def test_a_path_that_means_something_else_to_the_supervisor_is_refused(path: str) -> None:
    with pytest.raises(ResourceError, match="cannot be written into the supervisor's configuration"):
        program_text(replace(PROGRAM, folder=Path(path)))


def test_the_supervisor_listens_on_a_private_socket_only() -> None:
    text = supervisor_text("p/local@/stack", Path("/run/s.sock"), Path("/stack/supervisor"), Path("/stack/logs"))
    assert read(text, "unix_http_server")["file"] == "/run/s.sock"
    assert read(text, "unix_http_server")["chmod"] == "0600"
    assert "inet_http_server" not in text
    assert read(text, "include")["files"] == "/stack/supervisor/programs/*.conf"


def test_sockets_move_to_a_short_private_folder_when_the_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    short, long = StackPaths(Path("/h/p/local")), StackPaths(Path("/h") / ("x" * 90))
    assert short.sockets == Path("/h/p/local/run")
    assert long.sockets.parent == Path("/run/user/1000")
    assert len(str(long.sockets / "supervisor.sock.1234567")) < 100
    assert long.sockets != StackPaths(Path("/h") / ("y" * 90)).sockets
    folder = private_sockets(tmp_path / "sockets")
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ResourceError, match="is not a private folder of yours"):
        private_sockets(tmp_path / "link")


def test_processes_of_ours_find_our_packages() -> None:
    found = module_path("llmctl_infra", "llmctl_server").split(os.pathsep)
    assert all(
        (Path(folder) / name).is_dir()
        for folder, name in zip(found, ("llmctl_infra", "llmctl_server"), strict=True)
    )
    with pytest.raises(ResourceError, match="the Python package no_such_package is missing"):
        module_path("no_such_package")


# -- processes ---------------------------------------------------------------------------------------------------


def sleeper(mark: str, stubborn: bool = False) -> subprocess.Popen[bytes]:
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else ""
    program = f"import signal, time; {ignore} print('up', flush=True); time.sleep(60)"
    environment = {**os.environ, STACK_ID_VARIABLE: mark}
    child = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_processes_of_a_stack_are_found_by_their_mark_and_ended_even_when_stubborn(tmp_path: Path) -> None:
    mine, others = stack_id("p", "local", tmp_path), stack_id("p", "other", tmp_path)
    children = [sleeper(mine), sleeper(mine, stubborn=True), sleeper(others)]
    try:
        assert [each.pid for each in processes.of_stack(mine)] == sorted(child.pid for child in children[:2])
        assert len(leftovers(mine, tmp_path)) == 2
        ended = sweep(mine, tmp_path, grace=0.3)
        assert sorted(int(each.split()[1]) for each in ended) == sorted(child.pid for child in children[:2])
        assert leftovers(mine, tmp_path) == ()
        assert children[2].poll() is None
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_a_forgotten_socket_is_found_and_removed(tmp_path: Path) -> None:
    folder = StackPaths(tmp_path).sockets
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s.sock"))
    assert leftovers("p/local@x", tmp_path) == (f"socket {folder / 's.sock'}",)
    assert sweep("p/local@x", tmp_path) == (f"socket {folder / 's.sock'}",)
    assert not folder.exists()


# -- ports -------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_not_chosen_and_its_holder_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        assert ports.is_listening("127.0.0.1", port)
        assert ports.holder(port).endswith(f"(process {os.getpid()})")
        assert ports.choose("127.0.0.1", [port]) != port
        with pytest.raises(ResourceError, match=f"port {port} on 127.0.0.1 is taken: .*process {os.getpid()}"):
            ports.require_free("127.0.0.1", port)
    assert ports.is_free("127.0.0.1", port)
    assert ports.choose("127.0.0.1", [port]) == port
    assert ports.choose("127.0.0.1", [port], frozenset({port})) != port
    assert not ports.is_listening("127.0.0.1", port)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(ResourceError, match=r"cannot listen on 192\.0\.2\.77"):
        ports.is_free("192.0.2.77", 0)


def test_two_gateways_never_choose_a_port_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    steps: list[str] = []

    def other() -> None:
        with ports.choosing():
            steps.append("second")

    with ports.choosing():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        steps.append("first")
    thread.join()
    assert steps == ["first", "second"]
    lock = next(tmp_path.glob("llmctl-*.lock"))
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResourceError, match="cannot lock"), ports.choosing():
        pass


def test_a_wait_ends_with_the_event_its_time_or_an_interruption() -> None:
    assert wait_until(lambda: True, 0)
    assert not wait_until(lambda: False, 0.01, step=0.001)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(InterruptedWait, match="the operation was interrupted"):
        wait_until(lambda: False, 60, cancelled)
