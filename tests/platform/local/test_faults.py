from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import load
from local_stack import LocalStack, new_bundle

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.files import write_private
from llmctl_infra.local.status import stack_status
from llmctl_infra.local.waiting import wait_until


def test_a_killed_server_costs_no_request_under_32_clients(stack: LocalStack) -> None:
    stack.up(servers={"settings": {"STANDIN_SECONDS": "0.02"}})
    with load(stack.port, stack.key, clients=32) as seen:
        killed = stack.kill("server-1")
        time.sleep(2.5)
    assert seen.failed == {}
    assert seen.statuses["200"] > 500
    assert stack.pid("server-1") not in {0, killed}
    assert [each.restarts for each in stack_status(stack.root) if each.name == "server-1"] == [1]
    assert stack.drift("Servers") == []


def test_a_killed_envoy_is_back_within_two_seconds(stack: LocalStack) -> None:
    stack.up()
    killed, started = stack.kill("gateway-1"), time.monotonic()
    while True:
        try:
            if stack.classify()[0] == 200:
                break
        except OSError:
            time.sleep(0.02)
    assert time.monotonic() - started < 2
    assert stack.pid("gateway-1") != killed


def test_a_killed_supervisor_is_drift_that_an_update_heals_without_orphans(stack: LocalStack) -> None:
    stack.up()
    supervisor = next(each for each in stack.processes() if "supervisor.supervisord" in each.cmdline())
    supervisor.kill()
    supervisor.wait(5)
    orphans = {each.pid for each in stack.processes()}
    assert stack.classify()[0] == 200  # what it started lives on
    assert stack.drift("Supervisor") == ["supervisord does not run"]
    assert "the supervisor does not answer" in stack.drift("Servers")[0]
    assert "the supervisor does not answer" in stack.drift("Gateway")[0]
    for noun in ("Supervisor", "Servers", "Gateway"):
        stack.update(noun)
        assert stack.drift(noun) == []
    assert stack.classify()[0] == 200
    assert orphans.isdisjoint(each.pid for each in stack.processes())
    assert len(stack.processes()) == 4


def test_after_a_restart_of_the_machine_an_update_brings_everything_back_although_its_ports_are_taken(
    stack: LocalStack,
) -> None:
    stack.up()
    stack.kill_everything()
    assert stack.processes() == ()
    old = stack.port
    with socket.socket() as gateways, socket.socket() as servers:
        for taken, port in ((gateways, old), (servers, stack.outputs["Servers"]["endpoints"][0]["port"])):
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
        stack.update("Supervisor")
        assert stack.drift("Servers")
        assert f"gateway-1 runs but does not listen on 127.0.0.1:{old}" in stack.drift("Gateway")
        stack.update("Servers")
        stack.update("Gateway")
        assert stack.port != old
        assert stack.classify()[0] == 200
        with pytest.raises(ResourceError, match=f"port {old} on 127.0.0.1 is taken: python"):
            stack.update("Gateway", port=old)
        assert stack.classify()[0] == 200
    for noun in ("Supervisor", "Servers", "Gateway"):
        assert stack.drift(noun) == []


def test_more_connections_than_allowed_are_closed_and_the_others_served(stack: LocalStack) -> None:
    stack.up(servers={"replicas": 1}, gateway={"maxConnections": 5})
    idle = [socket.create_connection(("127.0.0.1", stack.port), timeout=5) for _ in range(8)]
    closed = 0
    for each in idle:
        each.settimeout(0.3)
        try:
            closed += each.recv(1) == b""
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed += 1
    assert closed == 3
    for each in idle:
        each.close()

    def answered() -> bool:
        try:
            return stack.classify()[0] == 200
        except OSError:  # the gateway has not yet noticed that connections are free again
            return False

    assert wait_until(answered, 5)


def test_a_server_that_keeps_dying_is_drift_and_an_update_replaces_it(stack: LocalStack) -> None:
    stack.up(servers={"replicas": 1})
    launch = stack.paths.servers / "environment" / "server-1.json"
    write_private(launch, "{}")
    stack.kill("server-1")
    edited, dying = stack.drift("Servers")
    assert edited == f"{launch} was edited"
    assert dying.startswith("server-1 is ")
    stack.update("Servers")
    assert stack.drift("Servers") == []
    assert stack.classify()[0] == 200
    assert launch.read_text() != "{}"


def test_edited_and_deleted_files_are_drift_and_an_update_writes_them_again(stack: LocalStack) -> None:
    stack.up()
    routes = stack.paths.gateway / "envoy" / "routes.json"
    routes.write_text(routes.read_text().replace('"timeout": "10s"', '"timeout": "11s"'))
    (stack.paths.servers / "keys.json").unlink()
    stack.paths.endpoints.chmod(0o644)
    assert stack.drift("Gateway") == [f"{routes} was edited"]
    assert stack.drift("Servers") == [
        f"{stack.paths.endpoints} has mode 0644, not 0600",
        f"{stack.paths.servers / 'keys.json'} is missing",
    ]
    stack.update("Servers")
    stack.update("Gateway")
    assert stack.drift("Servers") == stack.drift("Gateway") == []
    shutil.rmtree(stack.paths.gateway)
    assert stack.read("Gateway") is None
    stack.create("Gateway", **stack.gateway_inputs())
    assert stack.classify()[0] == 200


def test_what_envoy_refuses_is_reported_and_the_old_configuration_stays(stack: LocalStack) -> None:
    stack.up()
    routes = stack.paths.gateway / "envoy" / "routes.json"
    before = routes.read_text()
    twice = [*stack.inputs["Gateway"]["apiKeys"], *stack.inputs["Gateway"]["apiKeys"]]
    with pytest.raises(ResourceError, match="refuses its new configuration") as caught:
        stack.update("Gateway", apiKeys=twice)
    assert "uplicate" in " ".join(caught.value.evidence)
    assert routes.read_text() == before
    assert stack.drift("Gateway") == []
    assert stack.classify()[0] == 200


def test_a_tampered_model_is_named_and_never_served(stack: LocalStack) -> None:
    stack.up(servers={"replicas": 1})
    sealed = Path(stack.outputs["Model"]["objectPath"])
    raw = bytearray(sealed.read_bytes())
    raw[len(raw) // 2] ^= 1
    sealed.write_bytes(raw)
    assert stack.drift("Model") == [f"the object {sealed} is damaged: its bytes have changed"]
    with pytest.raises(ResourceError) as caught:
        stack.update("Servers", settings={"STANDIN_MARK": "new"})
    assert f"the object {sealed} is damaged: its chunk 1" in caught.value.why
    assert stack.classify()[1]["mark"] is None
    stack.update("Model")
    assert stack.drift("Model") == []
    stack.update("Servers", settings={"STANDIN_MARK": "new"})
    assert stack.classify()[1]["mark"] == "new"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.root
def test_a_full_disk_is_said_and_leaves_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    stack = LocalStack(small_disk, bundle=new_bundle(tmp_path / "bundle"))
    stack.base()
    new_bundle(stack.bundle)  # a second object of 2.5 MB does not fit
    before = sorted(stack.root.rglob("*"))
    from llmctl_image.bundle import bundle_digest

    with pytest.raises(ResourceError, match=r"cannot write .*sealed: the disk is full, 0\.\d MiB are free"):
        stack.update("Model", digest=bundle_digest(stack.bundle))
    assert sorted(stack.root.rglob("*")) == before
