"""How the real process starts, and how it ends without losing anything."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from llmctl_image.bundle import bundle_digest, write_bundle
from support import tiny_model
from support.server_process import ServerProcess

pytestmark = pytest.mark.platform

SLOW_LAYERS = 6
SLOW_TEXT = "good " * 250


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write_bundle(tmp_path_factory.mktemp("life") / "bundle")


@pytest.fixture(scope="module")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes tens of milliseconds for each `SLOW_TEXT`."""
    return tiny_model.write_bundle(tmp_path_factory.mktemp("slow") / "bundle", layers=SLOW_LAYERS)


def refused_start(bundle: Path | None, **environment: str) -> tuple[int, list[str]]:
    """Exit code and plain lines of a server that does not start."""
    with ServerProcess(bundle, ready=False, **environment) as server:
        code = server.wait()
    assert all(line.startswith(("llmctl-server: ", "{")) for line in server.lines)
    return code, [line.removeprefix("llmctl-server: ").rstrip() for line in server.lines if line[0] != "{"]


def caller() -> httpx.AsyncClient:
    """A client that opens as many connections as it has requests."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=60, limits=httpx.Limits(max_connections=None))


async def ask(client: httpx.AsyncClient, server: ServerProcess, text: str) -> httpx.Response:
    return await client.post(f"{server.url}/v1/classify", json={"text": text})


async def until_accepted(client: httpx.AsyncClient, server: ServerProcess, count: int) -> None:
    """Wait until so many requests were accepted, and fail unless some of them are unfinished then."""
    for _ in range(200):
        page = (await client.get(f"{server.url}/metrics")).text
        values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line[0] != "#")
        unfinished = float(values["llmctl_in_flight_requests"])
        done = float(values.get('llmctl_requests_total{route="/v1/classify",status="200"}', 0))
        if unfinished + done == count:
            assert unfinished
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never saw {count} requests accepted:\n{page}")


def test_sigterm_under_64_requests_loses_none_and_sends_new_work_away(slow_bundle: Path) -> None:
    with ServerProcess(slow_bundle, LLMCTL_DRAIN_DELAY="1.5", LLMCTL_GRACE="30", LLMCTL_THREADS="2") as server:

        async def scenario() -> tuple[list[httpx.Response], httpx.Response, httpx.Response, float]:
            async with caller() as client:
                accepted = [asyncio.create_task(ask(client, server, SLOW_TEXT)) for _ in range(64)]
                await until_accepted(client, server, 64)
                server.terminate()
                sent = time.monotonic()
                ready = await client.get(f"{server.url}/readyz")
                noticed = time.monotonic() - sent
                late = await ask(client, server, "good")
                return await asyncio.gather(*accepted), ready, late, noticed

        accepted, ready, late, noticed = asyncio.run(scenario())
        code = server.wait()

    assert [response.status_code for response in accepted] == [200] * 64
    assert {response.json()["label"] for response in accepted} == {"positive"}
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
    assert noticed < 0.5
    assert (late.status_code, late.json()["error"]["code"]) == (503, "draining")
    assert int(late.headers["retry-after"]) >= 1
    assert code == 0
    assert json.loads(server.lines[-1])["cut_requests"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_answers_during_the_delay_and_then_ends(bundle: Path, number: signal.Signals) -> None:
    with ServerProcess(bundle, LLMCTL_DRAIN_DELAY="0.6") as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        server.process.send_signal(number)
        sent = time.monotonic()
        statuses = [client.get(path).status_code for path in ("/readyz", "/livez", "/startupz")]
        code = server.wait()
        ended = time.monotonic() - sent

    assert statuses == [503, 200, 200]
    assert code == 0
    assert 0.5 < ended < 3


def test_what_exceeds_the_grace_is_told_so_and_the_process_still_ends_well(slow_bundle: Path) -> None:
    with ServerProcess(slow_bundle, LLMCTL_GRACE="0.2", LLMCTL_THREADS="1") as server:

        async def scenario() -> list[httpx.Response]:
            async with caller() as client:
                tasks = [asyncio.create_task(ask(client, server, SLOW_TEXT * 3)) for _ in range(40)]
                await until_accepted(client, server, 40)
                server.terminate()
                return await asyncio.gather(*tasks)

        responses = asyncio.run(scenario())
        code = server.wait()

    statuses = [response.status_code for response in responses]
    cut = [response for response in responses if response.status_code == 503]
    assert set(statuses) <= {200, 503}
    assert cut
    assert all(response.headers["retry-after"] == "1" for response in cut)
    assert code == 0
    assert json.loads(server.lines[-1])["cut_requests"] == len(cut)


def test_a_second_signal_ends_the_wait(bundle: Path) -> None:
    with ServerProcess(bundle, LLMCTL_DRAIN_DELAY="30") as server:
        server.terminate()
        time.sleep(0.2)
        sent = time.monotonic()
        server.terminate()
        assert server.wait() == 0

    assert time.monotonic() - sent < 3


def test_a_slow_body_is_still_read_while_draining(bundle: Path) -> None:
    async def one_in_flight() -> None:
        async with caller() as client:
            await until_accepted(client, server, 1)

    content = json.dumps({"text": "good"}).encode()
    head = b"POST /v1/classify HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(content)
    with (
        ServerProcess(bundle) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
    ):
        connection.sendall(head + content[:5])
        asyncio.run(one_in_flight())
        server.terminate()
        time.sleep(0.3)
        connection.sendall(content[5:])
        answer = receive_until(connection, b"}")
        code = server.wait()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in answer
    assert code == 0


def test_the_bundle_may_come_as_a_descriptor_that_no_path_leads_to(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    with path.open("wb") as file:
        write_bundle(bundle, file)
    descriptor = os.open(path, os.O_RDONLY)
    path.unlink()
    digest = bundle_digest(bundle)
    try:
        with ServerProcess(
            None, pass_fds=(descriptor,), LLMCTL_MODEL_FD=str(descriptor), LLMCTL_MODEL_DIGEST=digest
        ) as server:
            with server.client() as client:
                info = client.get("/info").json()
                # Where there is no /proc the glob finds nothing, and only the answer is tested.
                held = [str(path.readlink()) for path in Path(f"/proc/{server.process.pid}/fd").glob("*")]
            server.terminate()
            assert server.wait() == 0
    finally:
        os.close(descriptor)

    assert info["model"]["digest"] == digest
    assert not any(path.name in target for target in held)


def test_another_bundle_than_the_expected_one_is_refused(bundle: Path) -> None:
    wrong = "sha256:" + "0" * 64

    code, (line,) = refused_start(bundle, LLMCTL_MODEL_DIGEST=wrong)

    assert code == 78
    assert bundle_digest(bundle) in line
    assert wrong in line


def test_bad_settings_are_told_one_by_one(bundle: Path) -> None:
    code, lines = refused_start(bundle, LLMCTL_THREADS="many", LLMCTL_GRACE="-1")

    assert code == 78
    assert lines == [
        "LLMCTL_THREADS=many: must be a whole number",
        "LLMCTL_GRACE=-1: must be between 0 and 3600 seconds",
    ]


def test_more_tokens_than_the_model_reads_are_refused(bundle: Path) -> None:
    code, (line,) = refused_start(bundle, LLMCTL_MAX_TOKENS="2001")

    assert (code, line) == (78, "LLMCTL_MAX_TOKENS=2001: the model reads at most 2000 tokens")


def test_a_missing_keys_file_is_refused_rather_than_letting_everybody_in(bundle: Path, tmp_path: Path) -> None:
    code, (line,) = refused_start(bundle, LLMCTL_KEYS_FILE=str(tmp_path / "none.json"))

    assert code == 78
    assert line.startswith(f"LLMCTL_KEYS_FILE={tmp_path}/none.json: No such file")


def test_a_taken_port_is_named(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        code, (line,) = refused_start(bundle, LLMCTL_PORT=str(port))

    assert (code, line) == (69, f"cannot listen on 127.0.0.1:{port}: the port is taken")


def test_a_host_that_is_not_of_this_machine_is_named(bundle: Path) -> None:
    code, (line,) = refused_start(bundle, LLMCTL_HOST="192.0.2.1", LLMCTL_PORT="8080")

    assert code == 69
    assert line.startswith("cannot listen on 192.0.2.1:8080: ")


def test_it_listens_on_its_own_address_only(bundle: Path) -> None:
    with ServerProcess(bundle, LLMCTL_HOST="127.0.0.2") as server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)
        with socket.create_connection(("127.0.0.2", server.port), timeout=5):
            pass


def test_a_key_is_replaced_without_a_restart(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def write(key: str) -> None:
        fresh = tmp_path / "keys.new"
        entry = {"name": "default", "sha256": hashlib.sha256(key.encode()).hexdigest()}
        fresh.write_text(json.dumps({"keys": [entry]}))
        fresh.replace(path)

    def status(client: httpx.Client, key: str) -> int:
        return client.get("/v1/models", headers={"x-api-key": key}).status_code

    write("old")
    with ServerProcess(bundle, LLMCTL_KEYS_FILE=str(path)) as server, server.client() as client:
        assert status(client, "old") == 200
        write("new")
        assert status(client, "new") == 200
        deadline = time.monotonic() + 5
        while status(client, "old") != 401:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_connections_that_never_come_to_the_point_are_closed(bundle: Path, tmp_path: Path) -> None:
    """The real clock is ten seconds; a wrapper shortens it so that the test need not wait."""
    code = (
        "import sys, llmctl_server.serve as serve; serve.HEAD_SECONDS = 0.5; "
        "from llmctl_server.__main__ import main; sys.exit(main())"
    )
    with ServerProcess(bundle, program=("-c", code)) as server, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        silent, halfway, idle = (
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(3)
        )
        halfway.sendall(b"POST /v1/classify HTTP/1.1\r\nhost: x\r\n")
        probe = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
        idle.sendall(probe)
        assert b"alive" in receive_until(idle, b"}")

        assert silent.recv(1) == halfway.recv(1) == b""

        idle.sendall(probe)
        assert b"alive" in receive_until(idle, b"}")


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    answer = b""
    while not answer.endswith(end):
        block = connection.recv(65536)
        assert block, answer
        answer += block
    return answer
