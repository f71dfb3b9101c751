from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path

from local_stack import LocalStack

from llmctl_infra.local.api_key import api_key_hash, new_api_key
from llmctl_infra.local.files import write_private
from llmctl_infra.local.gateway_inputs import envoy_binary


def add_client(stack: LocalStack, name: str) -> str:
    """Let one more client in; its API key."""
    key, path = new_api_key(), stack.paths.api_key(name)
    write_private(path, key)
    keys = [*stack.inputs["Gateway"]["apiKeys"], {"name": name, "path": str(path), "sha256": api_key_hash(key)}]
    stack.update("Gateway", apiKeys=keys)
    return key


def error(body: bytes) -> dict[str, object]:
    found = json.loads(body)["error"]
    assert set(found) == {"message", "type", "code", "param", "request_id"}
    return found


def test_a_request_with_a_key_is_answered_and_traced(running: LocalStack) -> None:
    status, headers, body = running.ask(
        "POST", "/v1/classify", {"Authorization": f"Bearer {running.key}", "x-request-id": "mine-1"}, b"{}"
    )
    assert (status, headers["x-request-id"]) == (200, "mine-1")
    assert json.loads(body)["replica"] in {"server-1", "server-2"}
    assert running.ask("POST", "/v1/classify", {"x-api-key": running.key}, b"{}")[1]["x-request-id"]


def test_without_a_key_or_with_a_wrong_one_the_answer_is_401_in_the_servers_form(running: LocalStack) -> None:
    for headers in ({}, {"x-api-key": new_api_key()}, {"x-llmctl-client": "default"}):
        status, answered, body = running.ask("POST", "/v1/classify", headers, b"{}")
        assert (status, error(body)["type"]) == (401, "authentication_error")
        assert answered["www-authenticate"] == 'Bearer realm="llmctl"'


def test_probes_need_no_key(running: LocalStack) -> None:
    assert [running.ask("GET", path)[0] for path in ("/readyz", "/livez")] == [200, 200]


def test_paths_that_are_no_api_are_answered_with_404(running: LocalStack) -> None:
    for path in ("/", "/metrics", "/v1/../admin", "/infos", "/stats"):
        status, _, body = running.ask("GET", path, {"x-api-key": running.key})
        assert (status, error(body)["code"]) == (404, "not_found"), path


def test_a_client_that_asks_too_often_gets_429_and_the_others_do_not(running: LocalStack) -> None:
    key = add_client(running, "limited")
    answers = [running.ask("POST", "/v1/classify", {"x-api-key": key}, b"{}") for _ in range(5)]
    assert sorted(status for status, _, _ in answers)[:3] == [200, 200, 200]
    status, headers, body = answers[-1]
    assert (status, error(body)["type"], headers["retry-after"]) == (429, "rate_limit_error", "1")
    assert running.classify()[0] == 200


def test_a_body_of_100_mb_is_refused_before_it_has_arrived(running: LocalStack) -> None:
    started = time.monotonic()
    status, _, body = running.ask("POST", "/v1/classify", {"x-api-key": running.key}, bytes(100_000_000))
    assert (status, error(body)["code"]) == (413, "body_too_large")
    chunks = (bytes(1 << 16) for _ in range(1600))  # no length is announced
    assert running.ask("POST", "/v1/classify", {"x-api-key": running.key}, chunks)[0] == 413
    assert time.monotonic() - started < 5


def test_a_client_that_stops_in_the_middle_of_its_headers_holds_no_server(running: LocalStack) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as slow:
        slow.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nx-api-key: ")
        assert running.classify()[0] == 200


def test_the_access_log_says_who_asked_what_and_never_the_key(running: LocalStack) -> None:
    log = running.paths.logs / "access.log"
    running.ask("POST", "/v1/classify?token=hidden", {"x-api-key": running.key, "x-request-id": "find-me"}, b"{}")
    line = wait_for_line(log, "find-me")
    assert line["client"] == "default"
    assert (line["method"], line["path"], line["status"], line["attempts"]) == ("POST", "/v1/classify", 200, 1)
    assert line["upstream"].startswith("127.0.0.1:")
    assert running.key not in log.read_text()
    assert "hidden" not in log.read_text()


def test_the_admin_interface_is_on_no_port(running: LocalStack) -> None:
    envoy = next(each for each in running.processes() if each.pid == running.pid("gateway-1"))
    listening = {each.laddr.port for each in envoy.net_connections("tcp") if each.status == "LISTEN"}
    assert listening == {running.port}
    assert Path(running.outputs["Gateway"]["adminPath"]).stat().st_mode & 0o077 == 0


def test_files_with_keys_are_private(running: LocalStack) -> None:
    readable = [path for path in running.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert readable == []


def test_no_key_and_no_secret_is_on_a_command_line(running: LocalStack) -> None:
    told = " ".join(" ".join(each.cmdline()) for each in running.processes())
    assert running.key not in told


def test_a_key_that_was_taken_away_is_refused_without_a_restart(stack: LocalStack) -> None:
    stack.up()
    before = stack.pid("gateway-1")
    stack.update("Gateway", apiKeys=[])
    assert stack.ask("POST", "/v1/classify", {"x-api-key": stack.key}, b"{}")[0] == 401
    stack.update("Gateway", auth=False)
    assert stack.ask("POST", "/v1/classify", {}, b"{}")[0] == 200
    assert stack.pid("gateway-1") == before


def test_envoy_itself_finds_its_bootstrap_valid(running: LocalStack) -> None:
    bootstrap = running.paths.gateway / "bootstrap-1.json"
    command = [envoy_binary(), "--mode", "validate", "--disable-hot-restart", "-c", str(bootstrap)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_a_hanging_upload_of_many_clients_leaves_the_servers_free(running: LocalStack) -> None:
    slow = [http.client.HTTPConnection("127.0.0.1", running.port, timeout=5) for _ in range(50)]
    for each in slow:
        each.putrequest("POST", "/v1/classify")
        each.putheader("x-api-key", running.key)
        each.putheader("content-length", "100")
        each.endheaders(b"x")
    assert running.classify()[0] == 200
    for each in slow:
        each.close()


def wait_for_line(log: Path, text: str) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if text in line:
                return dict(json.loads(line))
        time.sleep(0.1)
    raise AssertionError(f"{text} is not in {log}")
