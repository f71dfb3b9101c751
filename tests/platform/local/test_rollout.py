from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from load import load
from local_stack import LocalStack

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.api_key import api_key_hash
from llmctl_infra.local.files import write_private


def names(stack: LocalStack) -> list[str]:
    return [each["name"] for each in stack.outputs["Servers"]["endpoints"]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_replicas_and_settings_change_under_load_without_a_failed_request(stack: LocalStack) -> None:
    stack.up()
    with load(stack.port, stack.key, clients=16) as seen:
        time.sleep(0.3)
        stack.update("Servers", replicas=4)
        assert len(names(stack)) == 4
        stack.update("Servers", settings={"STANDIN_MARK": "new"})
        stack.update("Servers", replicas=1)
        stack.update("Gateway", timeoutSeconds=20, rateLimits=[{"key": "*", "rps": 5000, "burst": 5000}])
        time.sleep(0.3)
    assert seen.failed == {}
    assert seen.statuses["200"] > 500
    assert set(seen.marks) == {"", "new"}
    assert stack.classify()[1]["mark"] == "new"
    assert len([each for each in stack.processes() if "standin_server" in each.cmdline()]) == 1
    assert stack.outputs["Servers"]["generation"] == 2
    assert stack.drift("Servers") == stack.drift("Gateway") == []


def test_a_change_that_needs_another_envoy_hands_over_under_load(stack: LocalStack) -> None:
    stack.up()
    before = stack.pid("gateway-1")
    with load(stack.port, stack.key, clients=8) as seen:
        time.sleep(0.3)
        stack.update("Gateway", maxConnections=500)
        time.sleep(0.3)
    assert seen.statuses["200"] > 50
    assert seen.failed == {}
    assert stack.pid("gateway-2") != before
    assert stack.drift("Gateway") == []


def test_the_gateway_moves_to_another_port_in_place(stack: LocalStack) -> None:
    stack.up()
    free = free_port()
    before, old_port = stack.pid("gateway-1"), stack.port
    assert stack.update("Gateway", port=free)["url"] == f"http://127.0.0.1:{free}"
    assert stack.classify()[0] == 200
    assert stack.pid("gateway-1") == before
    listening = {each.laddr.port for process in stack.processes() for each in process.net_connections("tcp")}
    assert free in listening
    assert old_port not in listening


def test_a_new_key_works_at_once_and_no_server_restarts(stack: LocalStack) -> None:
    stack.up()
    before = {name: stack.pid(name) for name in names(stack)}
    stack.update("Servers", apiKeys=[{"name": "other", "sha256": api_key_hash("another-key-of-mine")}])
    assert {name: stack.pid(name) for name in names(stack)} == before
    assert "other" in (stack.paths.servers / "keys.json").read_text()


def test_a_server_that_cannot_start_leaves_the_old_ones_in_service(stack: LocalStack) -> None:
    stack.up()
    before = {name: stack.pid(name) for name in names(stack)}
    with load(stack.port, stack.key, clients=4) as seen, pytest.raises(ResourceError) as caught:
        stack.update("Servers", settings={"STANDIN_CRASH": "no such model"})
    assert seen.failed == {}
    assert "server-3 does not start" in caught.value.what
    assert "cannot start: no such model" in caught.value.evidence[-1]
    assert {name: stack.pid(name) for name in names(stack)} == before
    assert stack.drift("Servers") == []
    assert not list(stack.paths.programs.glob("server-3*"))


def test_a_server_that_never_becomes_ready_is_given_up(stack: LocalStack) -> None:
    stack.up()
    with pytest.raises(ResourceError, match=r"not ready after 1\.5 s"):
        stack.update("Servers", settings={"STANDIN_START_SECONDS": "60"}, startSeconds=1.5)
    assert stack.classify()[0] == 200


def test_an_interrupted_rollout_is_taken_up_by_the_next_one(stack: LocalStack) -> None:
    cancelled = threading.Event()
    stack.handlers["llmctl:local:Servers"]._cancelled = cancelled
    stack.up()
    threading.Timer(0.7, cancelled.set).start()
    with pytest.raises(ResourceError, match="interrupted"):
        stack.update("Servers", settings={"STANDIN_START_SECONDS": "30"})
    cancelled.clear()
    assert stack.drift("Servers") == []
    # A crash of llmctl itself in the middle leaves a program that nobody remembers.
    leftover = (stack.paths.programs / "server-1.conf").read_text().replace("server-1", "server-9")
    write_private(stack.paths.programs / "server-9.conf", leftover)
    stack.update("Servers", replicas=3)
    assert len(names(stack)) == 3
    assert not (stack.paths.programs / "server-9.conf").exists()


def test_a_request_that_was_accepted_is_finished_when_its_server_goes(stack: LocalStack) -> None:
    stack.up(servers={"replicas": 1})
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(stack.classify(**{"x-seconds": "2"})[0]))
    slow.start()
    time.sleep(0.3)
    stack.update("Servers", settings={"STANDIN_MARK": "new"})
    slow.join()
    assert answers == [200]


def test_a_taken_port_is_refused_with_the_name_of_its_holder_before_anything_changes(stack: LocalStack) -> None:
    stack.base()
    stack.create("Supervisor", root=str(stack.root), project="p", stack="local")
    stack.create("Servers", **stack.servers_inputs())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=rf"port {port} on 127.0.0.1 is taken: python.* \(process \d+\)"):
            stack.create("Gateway", **stack.gateway_inputs(), port=port)
    assert not stack.paths.gateway.exists()


def test_down_leaves_no_process_no_port_and_no_socket(stack: LocalStack, tmp_path: Path) -> None:
    from llmctl_infra.local.sweep import leftovers

    stack.up(gateway={"port": free_port()})  # of its own, which no other stack on this machine takes afterwards
    addresses = [(each["host"], each["port"]) for each in stack.outputs["Servers"]["endpoints"]]
    addresses.append(("127.0.0.1", stack.port))
    found = leftovers(stack.stack_id, stack.root, addresses)
    assert len([each for each in found if each.startswith("process")]) == 4
    assert len([each for each in found if each.startswith("port")]) == 3
    assert len([each for each in found if each.startswith("socket")]) == 2
    stack.down()
    assert leftovers(stack.stack_id, stack.root, addresses) == ()
    stack.down()  # what is not there is fine


def test_two_stacks_that_come_up_at_the_same_moment_get_ports_of_their_own(tmp_path: Path) -> None:
    stacks = [LocalStack(tmp_path / name) for name in ("a", "b")]
    try:
        threads = [threading.Thread(target=each.up, kwargs={"servers": {"replicas": 1}}) for each in stacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stacks[0].port != stacks[1].port
        assert [each.classify()[0] for each in stacks] == [200, 200]
    finally:
        for each in stacks:
            each.kill_everything()
