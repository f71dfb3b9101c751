"""What a user sees of a running stack: status, logs; and that it lives apart from the command that made it."""

from __future__ import annotations

import http.client
import os
import sys
import threading
from pathlib import Path

import psutil
import pytest
from local_stack import LocalStack

from llmctl_infra.local.logs import follow_logs, read_logs
from llmctl_infra.local.status import stack_status
from llmctl_infra.local.waiting import wait_until


def test_status_tells_every_process_its_address_and_its_last_words(running: LocalStack) -> None:
    found = {each.name: each for each in stack_status(running.root)}
    assert sorted(found) == ["gateway-1", "server-1", "server-2", "supervisor"]
    assert all(each.ready and each.pid and each.memory_bytes for each in found.values())
    assert found["gateway-1"].address == f"127.0.0.1:{running.port}"
    assert '"message": "started"' in found["server-1"].log[-1]
    assert {each.restarts for each in found.values()} == {0}


def test_logs_of_all_components_are_read_and_followed(running: LocalStack) -> None:
    running.classify()
    sources = {line.source for line in read_logs(running.root)}
    assert {"server-1", "server-2", "supervisor"} <= sources
    seen = threading.Event()

    def follow() -> None:
        for line in follow_logs(running.root, ["gateway"], stop=seen.is_set):
            if "follow-me" in line.text:
                seen.set()

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(100):
        running.ask("GET", "/readyz", {"x-request-id": "follow-me"})
        if seen.wait(0.1):
            break
    assert seen.is_set()
    thread.join()


def test_the_stack_has_no_terminal_no_session_and_no_file_of_the_command(
    stack: LocalStack, tmp_path: Path
) -> None:
    ours = (tmp_path / "ours").open("w")
    os.set_inheritable(ours.fileno(), True)
    with ours:
        stack.up()
        for process in stack.processes():
            assert os.getsid(process.pid) != os.getsid(0)
            assert process.terminal() is None
            assert str(tmp_path / "ours") not in {each.path for each in process.open_files()}
        supervisor = next(each for each in stack.processes() if "supervisor.supervisord" in each.cmdline())
        assert supervisor.ppid() != os.getpid()


def test_logs_are_rotated_and_read_over_the_rotation(stack: LocalStack) -> None:
    stack.up(servers={"replicas": 1}, gateway={"logMaxBytes": 1 << 16, "logKeep": 2})
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    for number in range(1000):
        connection.request("GET", "/readyz", headers={"x-request-id": f"number-{number}"})
        connection.getresponse().read()
    connection.close()
    rotated = stack.paths.logs / "access.log.1"

    def all_written() -> bool:
        lines = read_logs(stack.root, ["gateway"])
        return rotated.exists() and bool(lines) and "number-999" in lines[-1].text

    assert wait_until(all_written, 10)
    assert len(read_logs(stack.root, ["gateway"])) > 300
    assert len(list(stack.paths.logs.glob("access.log*"))) == 3
    assert max(path.stat().st_size for path in stack.paths.logs.glob("access.log*")) < 3 * (1 << 16)


@pytest.mark.skipif(sys.platform != "linux", reason="file descriptors are listed in /proc")
def test_the_model_is_nowhere_on_the_disk_in_clear(running: LocalStack) -> None:
    needle = (running.bundle / "model.onnx").read_bytes()[:64]
    holding = [path for path in running.root.rglob("*") if path.is_file() and needle in path.read_bytes()]
    assert holding == []


def test_a_long_root_still_gets_a_socket_that_fits(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / ("long-" * 12))
    try:
        stack.up(servers={"replicas": 1})
        assert len(stack.outputs["Supervisor"]["socketPath"]) < 90
        assert stack.classify()[0] == 200
        stack.down()
        assert not Path(stack.outputs["Supervisor"]["socketPath"]).parent.exists()
    finally:
        stack.kill_everything()


def test_everything_listens_on_loopback_only(running: LocalStack) -> None:
    listening = {
        connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
