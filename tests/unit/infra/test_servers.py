from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmctl_image.bundle import bundle_digest, write_bundle
from llmctl_infra.local import launch
from llmctl_infra.local.fleet import Fleet, Replica, endpoints_text, load_fleet, save_fleet
from llmctl_infra.local.gateway_record import GatewayRecord, load_gateway, save_gateway
from llmctl_infra.local.kms_key import KmsKey
from llmctl_infra.local.model import Model
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.provider import handlers
from llmctl_infra.local.server_inputs import ServersInputs
from llmctl_infra.local.worker import Launch, open_model
from llmctl_infra.provider.codec import UNKNOWN
from llmctl_server.settings import variables

MODEL = {"name": "attention", "objectPath": "/object", "digest": "sha256:" + "0" * 64, "kmsKeyPath": "/kms.key"}
INPUTS: dict[str, Any] = {"root": "/stack", "supervisorSocket": "/s.sock", "replicas": 2, "model": MODEL}
MODULE = "llmctl_server"


def inputs(**changes: Any) -> ServersInputs:
    return ServersInputs.model_validate({**INPUTS, **changes})


# -- what a server is started from -------------------------------------------------------------------------------


def test_every_variable_that_a_server_gets_is_one_that_it_reads() -> None:
    replica = Replica("server-1", "127.0.0.1", 20000, "")
    text = launch.launch_text(inputs(requestLogPath="/requests.sqlite"), MODULE, replica)
    known = {each.name for each in variables()}
    assert set(json.loads(text)["environment"]) <= known
    assert "LLMCTL_MODEL_FD" in known  # what the worker adds


def test_secrets_are_in_the_private_file_and_not_in_the_supervisors() -> None:
    replica = Replica("server-1", "127.0.0.1", 20000, "")
    secret = inputs(environment={"TOKEN": "hush"})
    assert "hush" in launch.launch_text(secret, MODULE, replica)
    assert "hush" not in launch.program(secret, MODULE, replica)
    assert "hush" not in repr(secret)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"LLMCTL_MAX_TOKENS": "10"}},
        {"environment": {"TOKEN": "hush"}},
        {"model": {**MODEL, "digest": "sha256:" + "1" * 64}},
        {"grace": 1},
        {"auth": False},
        {"logKeep": 1},
        {"host": "127.0.0.2"},
        {"requestLogPath": "/requests.sqlite"},
    ],
)
def test_a_change_that_a_running_server_cannot_take_needs_another_one(change: dict[str, Any]) -> None:
    assert launch.fingerprint(inputs(**change), MODULE) != launch.fingerprint(inputs(), MODULE)


@pytest.mark.parametrize(
    "change", [{"replicas": 5}, {"apiKeys": [{"name": "a", "sha256": "a" * 64}]}, {"startSeconds": 5}]
)
def test_a_change_of_number_or_keys_needs_no_other_server(change: dict[str, Any]) -> None:
    assert launch.fingerprint(inputs(**change), MODULE) == launch.fingerprint(inputs(), MODULE)


def test_without_auth_a_server_gets_no_key_file_and_with_it_always() -> None:
    replica = Replica("server-1", "127.0.0.1", 20000, "")
    keys = "LLMCTL_KEYS_FILE"
    assert keys in json.loads(launch.launch_text(inputs(apiKeys=[]), MODULE, replica))["environment"]
    assert keys not in json.loads(launch.launch_text(inputs(auth=False), MODULE, replica))["environment"]


def test_a_server_is_ended_by_force_only_after_its_grace_and_its_drain_delay() -> None:
    given = inputs(grace=10, settings={"LLMCTL_DRAIN_DELAY": "7"})
    assert launch.stop_seconds(given) > 17


@pytest.mark.parametrize(
    ("change", "property"),
    [
        ({"replicas": 0}, "replicas"),
        ({"settings": {"lower": "x"}}, "settings.lower.[key]"),
        ({"apiKeys": [{"name": "a", "sha256": "short"}]}, "apiKeys.0.sha256"),
        ({"grace": -1}, "grace"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(change: dict[str, Any], property: str) -> None:  # noqa: A002
    _, failures = handlers(write_bundle)["llmctl:local:Servers"].check({**INPUTS, **change})
    assert [each.property for each in failures] == [property]


def test_a_preview_tells_the_endpoints_file_and_the_address_that_stays() -> None:
    made = handlers(write_bundle)
    servers, gateway = made["llmctl:local:Servers"], made["llmctl:local:Gateway"]
    path = "/stack/servers/endpoints/endpoints.json"
    assert servers.preview(INPUTS, None)["endpointsPath"] == path
    assert servers.preview({**INPUTS, "root": UNKNOWN}, None)["endpointsPath"] is UNKNOWN
    old = {"host": "127.0.0.1", "port": 8080, "url": "http://127.0.0.1:8080", "adminPath": "/a"}
    assert gateway.preview({"host": "127.0.0.1", "port": 0}, old)["url"] == old["url"]
    assert gateway.preview({"host": "127.0.0.1", "port": 9090}, old)["url"] is UNKNOWN
    assert gateway.preview({"host": "127.0.0.1", "port": 0}, None)["url"] is UNKNOWN


# -- the records -------------------------------------------------------------------------------------------------


def test_a_fleet_is_remembered_and_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    paths = StackPaths(tmp_path)
    fleet = Fleet(2, (Replica("server-2", "127.0.0.1", 2, "f", True), Replica("server-1", "127.0.0.1", 1, "f")))
    assert load_fleet(paths) is None
    save_fleet(paths, fleet)
    assert load_fleet(paths) == fleet
    for damage in ("", "[]", '{"replicas": [{}]}', '{"generation": 1}'):
        (paths.servers / "record.json").write_text(damage)
        assert load_fleet(paths) is None


def test_only_servers_in_service_are_endpoints_and_names_are_used_again() -> None:
    serving = Replica("server-2", "127.0.0.1", 20002, "f", serving=True)
    fleet = Fleet(1, (serving, Replica("server-1", "127.0.0.1", 20001, "f")))
    assert "20002" in endpoints_text(fleet)
    assert "20001" not in endpoints_text(fleet)
    assert fleet.free_name() == "server-3"
    assert fleet.without({"server-1"}).free_name() == "server-1"


def test_the_gateway_remembers_its_port_and_says_how_to_reach_it(tmp_path: Path) -> None:
    paths = StackPaths(tmp_path)
    assert load_gateway(paths) is None
    record = GatewayRecord(3, "0.0.0.0", 8080, "/run/stack")
    save_gateway(paths, record)
    assert load_gateway(paths) == record
    assert (record.url, record.admin_socket) == ("http://127.0.0.1:8080", "/run/stack/gateway-3.sock")
    assert GatewayRecord(1, "::1", 8080, "/run").url == "http://[::1]:8080"


# -- the worker --------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed_model(tmp_path: Path) -> Launch:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(os.urandom(3_000_000))
    digest = bundle_digest(bundle)
    made = KmsKey().create("key", {"path": str(tmp_path / "kms.key")})[1]
    sealing = {"kmsKeyPath": str(tmp_path / "kms.key"), "kmsKeyId": made["keyId"]}
    model = {"storePath": str(tmp_path / "store"), "name": "attention", "source": str(bundle), "digest": digest}
    outputs = Model(write_bundle).create("model", {**sealing, **model})[1]
    return Launch(MODULE, "attention", outputs["objectPath"], digest, str(tmp_path / "kms.key"), {})


def test_a_worker_opens_the_model_into_a_file_without_a_name(sealed_model: Launch, tmp_path: Path) -> None:
    descriptor = open_model(sealed_model)
    try:
        assert os.get_inheritable(descriptor)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            assert file.read(10) == b"model.onnx"
        assert os.fstat(descriptor).st_nlink == 0
    finally:
        os.close(descriptor)


def test_a_worker_names_a_damaged_model_in_one_line_and_ends_with_78(sealed_model: Launch, tmp_path: Path) -> None:
    path = Path(sealed_model.object_path)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    (tmp_path / "launch.json").write_text(sealed_model.text())
    done = subprocess.run(
        [sys.executable, "-m", "llmctl_infra.local.worker", str(tmp_path / "launch.json")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert f"the object {path} is damaged" in json.loads(done.stderr)["message"]
    assert len(done.stderr.splitlines()) == 1
