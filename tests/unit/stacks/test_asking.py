"""Asking an endpoint, against a small server on loopback that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmctl_stacks.errors import DeployError, PreflightError
from llmctl_stacks.lifecycle.asking import ask, first_answer
from llmctl_stacks.results import Endpoint


class Told:
    """Statuses to answer with, the last one for ever; and what was asked."""

    def __init__(self) -> None:
        self.statuses: list[int] = [200]
        self.asked: list[tuple[str, str, bytes]] = []


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def endpoint(told: Told, tmp_path: Path) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.asked.append((self.path, self.headers.get("authorization", ""), body))
            status = told.statuses.pop(0) if len(told.statuses) > 1 else told.statuses[0]
            text = json.dumps({"label": "positive"}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("x-request-id", "r1")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    key = tmp_path / "key"
    key.write_text("llmctl_key\n")
    yield Endpoint(f"http://127.0.0.1:{server.server_port}", "m", str(key), "/v1/classify", '{"text": "x"}')
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_request_carries_the_key_and_brings_status_body_and_request_id(endpoint: Endpoint, told: Told) -> None:
    answer = ask(endpoint, b'{"text": "y"}')

    assert told.asked == [("/v1/classify", "Bearer llmctl_key", b'{"text": "y"}')]
    assert (answer.status, answer.body, answer.request_id) == (200, {"label": "positive"}, "r1")


def test_the_first_answer_is_asked_for_until_it_is_good(endpoint: Endpoint, told: Told) -> None:
    told.statuses = [503, 503, 200]

    assert first_answer(endpoint, seconds=5) == {"label": "positive"}
    assert len(told.asked) == 3


def test_without_a_good_answer_in_time_the_deploy_failed_and_says_what_came_instead(
    endpoint: Endpoint, told: Told
) -> None:
    told.statuses = [500]

    with pytest.raises(DeployError, match="status 500"):
        first_answer(endpoint, seconds=0.2)


def test_a_rate_limited_key_does_not_fail_a_deploy(endpoint: Endpoint, told: Told) -> None:
    told.statuses = [429]

    assert first_answer(endpoint, seconds=5) is None


def test_nobody_listening_is_said_with_the_next_command() -> None:
    nobody = Endpoint("http://127.0.0.1:9", "m", None, "/v1/classify", "{}")

    with pytest.raises(PreflightError) as raised:
        ask(nobody, b"{}", seconds=1)

    assert raised.value.fix == "llmctl status"


def test_a_key_file_that_is_gone_is_named(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "key").unlink()

    with pytest.raises(PreflightError, match="cannot read the API key"):
        ask(endpoint, b"{}")
