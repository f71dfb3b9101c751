"""What breaks while the stack serves."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing, suppress
from typing import Any

import psutil
import pytest

from support.load import Load
from support.product import Product, eventually


def port_of(product: Product) -> int:
    return int(product.good("status")["endpoint"]["url"].rsplit(":", 1)[1])


def process_of(product: Product, component: str) -> psutil.Process:
    status = product.good("status")
    pid = next(replica["pid"] for replica in status["replicas"] if replica["component"] == component)
    return psutil.Process(pid)


def post(product: Product, body: bytes, key: str) -> tuple[int, Any]:
    """Status and JSON of one request; a server may answer and hang up before it has read the body."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(product), timeout=30)) as connection:
        with suppress(ConnectionError):
            connection.request("POST", "/v1/classify", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def healthy(product: Product) -> bool:
    return bool(product.good("status")["state"] == "running")


def test_a_worker_killed_under_32_clients_costs_no_request(running: Product) -> None:
    with Load(port_of(running), running.key, clients=32) as load:
        time.sleep(1.0)
        process_of(running, "server").kill()
        time.sleep(3.0)

    assert load.tally.answered > 200
    assert load.tally.failed == 0, load.tally
    assert eventually(lambda: healthy(running))


def test_envoy_killed_is_back_within_two_seconds(running: Product) -> None:
    port = port_of(running)
    envoy = process_of(running, "gateway")

    envoy.kill()
    killed = time.monotonic()
    back = eventually(lambda: running("invoke", "local", "a fine film").returncode == 0, 10)

    with Load(port, running.key, clients=1) as load:
        time.sleep(0.5)
    assert back
    assert time.monotonic() - killed < 2.0 + 1.5  # `invoke` itself takes part of a second to start
    assert load.tally.failed == 0


def test_a_killed_supervisor_is_drift_and_up_heals_it(running: Product) -> None:
    process_of(running, "supervisor").kill()

    drift = running("drift", "local", "--exit-code", "--output", "json")
    running.up()

    assert drift.returncode == 10
    assert {item["name"] for item in json.loads(drift.stdout)["items"]} >= {"supervisor"}
    assert eventually(lambda: healthy(running))
    assert len(running.processes()) == 4
    assert running.good("drift")["items"] == []


def test_a_tampered_model_is_refused_by_name_and_up_seals_it_again(running: Product) -> None:
    sealed = next((running.root / "store").rglob("*.sealed"))
    damaged = bytearray(sealed.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    sealed.write_bytes(damaged)

    drift = running.good("drift")
    process_of(running, "server").kill()
    refused = eventually(lambda: "damaged" in running("logs", "local", "--component", "server").stdout)
    running.up()

    assert {item["name"] for item in drift["items"]} >= {"attention"}
    assert refused
    assert eventually(lambda: healthy(running))


def test_a_deleted_store_is_drift_and_comes_back(running: Product) -> None:
    for path in (running.root / "store").rglob("*.sealed"):
        path.unlink()

    drift = running.good("drift")
    running.up()

    assert {item["name"] for item in drift["items"]} >= {"attention"}
    assert running.good("drift")["items"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe\x00binary", 400),
        (b"[]", 422),
        (json.dumps({"text": ""}).encode(), 422),
        (json.dumps({"text": 7}).encode(), 422),
        (json.dumps({"text": "word " * 100_000}).encode(), 422),
        (json.dumps({"text": "\U0001f600 fine \U0001f44d"}).encode(), 200),
        (json.dumps({"text": "a NUL \0 inside"}).encode(), 422),
    ],
)
def test_bad_bodies_get_an_error_object_and_never_a_5xx(running: Product, body: bytes, status: int) -> None:
    found, answer = post(running, body, running.key)

    assert found == status, answer
    assert status == 200 or answer["error"]["message"]


def test_a_wrong_key_is_401_and_a_body_of_100_mb_is_413_before_it_is_sent(running: Product) -> None:
    wrong, refusal = post(running, b'{"text": "x"}', "llmctl_wrong")
    started = time.monotonic()
    huge, _ = post(running, b"x" * (100 << 20), running.key)

    assert (wrong, refusal["error"]["type"]) == (401, "authentication_error")
    assert huge == 413
    assert time.monotonic() - started < 5


def test_clients_that_hang_up_or_dawdle_hold_nobody_up(running: Product) -> None:
    port = port_of(running)
    fields = ("host: x", f"authorization: Bearer {running.key}", "content-length: 900")
    head = "\r\n".join(("POST /v1/classify HTTP/1.1", *fields, "", ""))
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(32)]
    for client in slow:
        client.sendall(head.encode() + b'{"text": "')
    for client in slow[:16]:
        client.close()

    with Load(port, running.key, clients=4) as load:
        time.sleep(1.0)
    for client in slow[16:]:
        client.close()

    assert load.tally.answered > 50
    assert load.tally.failed == 0


def test_the_key_is_in_no_log_state_or_work_file(running: Product) -> None:
    running("invoke", "local", "a fine film")
    key = running.key.encode()
    allowed = {running.root / "keys" / "default"}

    holders = [
        path
        for path in running.home.rglob("*")
        if path.is_file() and path not in allowed and key in path.read_bytes()
    ]
    argv = [" ".join(process.cmdline()) for process in running.processes()]

    assert [path for path in holders if running.root / "gateway" not in path.parents] == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in holders)
    assert not any(running.key in line for line in argv)
