"""The same life with the real model server and the model that ships, through the engine's own protocol."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from load import load
from local_stack import LocalStack
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from llmctl_image.bundle import builtin
from llmctl_infra.provider.codec import decode, encode
from llmctl_infra.provider.host import ProviderHost

TEXT = b'{"text": "a warm, funny and beautifully acted film"}'


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("real"), "llmctl_server", builtin("attention"))
    try:
        made.up(servers={"settings": {"LLMCTL_THREADS": "1"}})
        yield made
    finally:
        made.kill_everything()


def test_the_shipped_model_answers_through_the_gateway(real: LocalStack) -> None:
    status, headers, body = real.ask(
        "POST", "/v1/classify", {"x-api-key": real.key, "x-request-id": "row-1"}, TEXT
    )
    assert status == 200, body
    assert headers["x-request-id"] == "row-1"
    assert "label" in body.decode()


def test_errors_of_the_gateway_and_of_the_server_have_the_same_form(real: LocalStack) -> None:
    of_server = real.ask("POST", "/v1/classify", {"x-api-key": real.key, "x-request-id": "r"}, b"{}")
    of_gateway = real.ask("POST", "/v1/classify", {"x-request-id": "r"}, TEXT)
    assert (of_server[0], of_gateway[0]) == (422, 401)
    first, second = (json.loads(answer[2])["error"] for answer in (of_server, of_gateway))
    assert set(first) == set(second)
    assert first["request_id"] == second["request_id"] == "r"


def test_a_request_is_in_the_request_log_without_its_text(real: LocalStack) -> None:
    real.ask("POST", "/v1/classify", {"x-api-key": real.key, "x-request-id": "row-2"}, TEXT)
    deadline = time.monotonic() + 10
    rows: list[tuple[str, int]] = []
    while not rows and time.monotonic() < deadline:
        log = sqlite3.connect(real.paths.request_log)
        rows = log.execute("SELECT key_name, status FROM requests WHERE request_id = 'row-2'").fetchall()
        log.close()
        time.sleep(0.1)
    assert rows == [("default", 200)]
    assert b"warm, funny" not in real.paths.request_log.read_bytes()


def test_the_real_servers_are_rolled_and_scaled_without_a_failed_request(real: LocalStack) -> None:
    before = {each["port"] for each in real.outputs["Servers"]["endpoints"]}
    with load(real.port, real.key, clients=8, body=TEXT) as seen:
        time.sleep(0.3)
        real.update("Servers", settings={"LLMCTL_THREADS": "1", "LLMCTL_MAX_TEXTS": "8"})
        real.update("Servers", replicas=1)
        real.update("Servers", replicas=2)
        time.sleep(0.3)
    assert seen.failed == {}
    assert seen.statuses["200"] > 200
    assert before.isdisjoint(each["port"] for each in real.outputs["Servers"]["endpoints"])


def test_the_handlers_answer_the_engines_protocol(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    token, name = "llmctl:local:KmsKey", "key"
    urn = f"urn:pulumi:local::p-base::{token}::{name}"
    inputs = encode({"path": str(stack.paths.kms_key)})
    with ProviderHost(stack.handlers) as host, grpc.insecure_channel(f"127.0.0.1:{host.port}") as channel:
        provider = provider_pb2_grpc.ResourceProviderStub(channel)
        made = provider.Create(provider_pb2.CreateRequest(urn=urn, properties=inputs))
        stack.paths.kms_key.chmod(0o644)
        found = provider.Read(
            provider_pb2.ReadRequest(id=made.id, urn=urn, inputs=inputs, properties=made.properties)
        )
        drift = decode(found.properties).values["drift"]
        assert drift == [f"{stack.paths.kms_key} has mode 0644, not 0600"]
        diff = provider.Diff(
            provider_pb2.DiffRequest(
                id=made.id, urn=urn, olds=found.properties, news=inputs, old_inputs=found.inputs
            )
        )
        assert (list(diff.diffs), list(diff.replaces)) == (["drift"], [])
        provider.Update(
            provider_pb2.UpdateRequest(id=made.id, urn=urn, olds=found.properties, news=inputs, old_inputs=inputs)
        )
        assert stack.paths.kms_key.stat().st_mode & 0o777 == 0o600
        provider.Delete(provider_pb2.DeleteRequest(id=made.id, urn=urn, properties=found.properties))
    assert not stack.paths.kms_key.exists()
