"""Every bad body that users send, to the real process."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support import tiny_model
from support.server_process import ServerProcess

pytestmark = pytest.mark.platform

KEY = "llmctl_" + "k" * 43


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    tiny_model.write_bundle(folder / "bundle")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    (folder / "keys.json").write_text(json.dumps({"keys": [{"name": "default", "sha256": digest}]}))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess(
        folder / "bundle",
        LLMCTL_KEYS_FILE=str(folder / "keys.json"),
        LLMCTL_REQUEST_LOG=str(folder / "requests.db"),
        LLMCTL_THREADS="2",
    ) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client(headers={"authorization": f"Bearer {KEY}"}) as client:
        yield client
        # Whatever a test has sent, the next caller is served.
        assert client.post("/v1/classify", json={"text": "good"}).json()["label"] == "positive"
        assert client.get("/livez").status_code == 200


def refusal(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"]


def test_good_and_bad_are_told_apart(client: httpx.Client) -> None:
    good = client.post("/v1/classify", json={"text": "a good film"}, headers={"x-request-id": "mine-1"})
    both = client.post("/v1/classify", json={"texts": ["a bad film", "good"]})

    assert good.json() == {
        "model": "attention",
        "label": "positive",
        "score": pytest.approx(1 / (1 + 2.718281828 ** (-3.1 / 3)), abs=1e-5),
        "tokens": 3,
        "truncated": False,
        "request_id": "mine-1",
    }
    assert [result["label"] for result in both.json()["results"]] == ["negative", "positive"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b'{"text": "good"', 400, "invalid_json"),
        (bytes(range(256)) * 20, 400, "invalid_json"),
        (b'{"text": "\xff\xfe"}', 400, "invalid_json"),
        (b'{"text": "good\x00"}', 400, "invalid_json"),
        (b'{"text": "good\\u0000"}', 422, "invalid_text"),
        (b'{"text": ""}', 422, "empty_text"),
        (b'{"text": " \\n "}', 422, "empty_text"),
        (b'{"text": 5}', 422, "invalid_type"),
        (b'{"text": "' + b"good " * 100_000 + b'"}', 422, "too_many_tokens"),
        (b" " * (1 << 20) + b"{}", 413, "body_too_large"),
    ],
)
def test_a_bad_body_is_refused_with_an_error_object(
    client: httpx.Client, content: bytes, status: int, code: str
) -> None:
    assert refusal(client.post("/v1/classify", content=content)) == (status, code)


ODD_TEXTS = (
    "good \N{GRINNING FACE}\N{WOMAN}\u200d\N{GIRL}",
    "bad \u202e\u200d\ufeff",
    "\N{CYRILLIC SMALL LETTER GHE}ood \u597d \u062c\u064a\u062f",
    "\x07\x1b[31m",
    "a" * 500_000,
)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_an_odd_text_gets_an_answer(client: httpx.Client, text: str) -> None:
    response = client.post("/v1/classify", json={"text": text})

    assert response.status_code == 200
    assert response.json()["tokens"] >= 1


def test_a_text_of_a_hundred_thousand_tokens_is_cut_on_request(client: httpx.Client) -> None:
    response = client.post("/v1/classify", json={"text": "good " * 100_000, "truncate": True})

    assert (response.json()["tokens"], response.json()["truncated"]) == (1000, True)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_is_refused_quickly_and_without_memory(
    server: ServerProcess, client: httpx.Client, chunked: bool
) -> None:
    block = b"x" * (1 << 20)
    before = resident_mebibytes(server)
    started = time.monotonic()
    head = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (100 << 20)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        request = b"POST /v1/classify HTTP/1.1\r\nhost: x\r\nx-api-key: " + KEY.encode() + b"\r\n" + head
        connection.sendall(request + b"\r\n\r\n")
        # As most clients do: send everything, and only then look for the answer.
        sent = 0
        for _ in range(100):
            try:
                connection.sendall(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            except OSError:
                break  # The server has ended the connection: it has seen enough.
            sent += len(block)
        answer = receive(connection)

    assert b"HTTP/1.1 413 " in answer
    assert b"body_too_large" in answer
    assert time.monotonic() - started < 5
    assert resident_mebibytes(server) - before < 30


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Bearer wrong"}, "invalid_api_key"),
        ({"x-api-key": ""}, "missing_api_key"),
    ],
)
def test_a_wrong_key_is_401_and_says_how_to_send_one(
    server: ServerProcess, headers: dict[str, str], code: str
) -> None:
    with server.client() as client:
        response = client.post("/v1/classify", json={"text": "good"}, headers=headers)

    assert refusal(response) == (401, code)
    assert response.headers["www-authenticate"] == 'Bearer realm="llmctl"'


def test_probes_answer_without_a_key(server: ServerProcess) -> None:
    with server.client() as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        started = client.get("/startupz").json()

    assert {"import", "read", "import_engine", "sessions", "tokenizer", "warm_up"} <= set(started["phases"])
    assert 0 < started["seconds"] < 30


def test_a_slow_client_keeps_nobody_waiting(server: ServerProcess, client: httpx.Client) -> None:
    """Fifty bodies that never end, beside one caller."""
    body = (
        b"POST /v1/classify HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: 1000\r\n\r\n{" % KEY.encode()
    )
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(50)]
    for connection in connections:
        connection.sendall(body)
    deadline = time.monotonic() + 5
    while b"llmctl_in_flight_requests 50.0" not in client.get("/metrics").content:
        assert time.monotonic() < deadline
    slowest = max(timed(client) for _ in range(20))
    for connection in connections:
        connection.close()

    assert slowest < 1


def test_clients_that_leave_do_not_disturb_the_others(server: ServerProcess, client: httpx.Client) -> None:
    content = json.dumps({"text": "good " * 900}).encode()
    head = b"POST /v1/classify HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n\r\n"
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head % (KEY.encode(), len(content)) + content)
    assert timed(client) < 5


def test_what_is_no_http_is_refused(server: ServerProcess, client: httpx.Client) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"POST /v1/classify HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(nonsense)
            assert receive(connection).startswith(b"HTTP/1.1 400 ")


def test_requests_in_one_packet_are_answered_in_their_order(server: ServerProcess, client: httpx.Client) -> None:
    request = b"GET /%s HTTP/1.1\r\nhost: x\r\n%s\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request % (b"livez", b"") + request % (b"readyz", b"connection: close\r\n"))
        answer = receive(connection)

    assert answer.index(b"alive") < answer.index(b"ready")


def test_many_callers_at_once_each_get_their_own_answer(server: ServerProcess, client: httpx.Client) -> None:
    def ask(number: int) -> None:
        word = "good" if number % 2 else "bad"
        with server.client(headers={"x-api-key": KEY}) as own:
            for _ in range(5):
                response = own.post(
                    "/v1/classify",
                    json={"text": f"{word} " * (number + 1)},
                    headers={"x-request-id": f"n{number}"},
                )
                assert response.json()["label"] == ("positive" if number % 2 else "negative")
                assert response.json()["tokens"] == number + 1
                assert response.json()["request_id"] == f"n{number}"

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(ask, range(32)))) == 32


def test_the_log_has_a_row_for_each_request_and_nothing_that_was_sent(
    folder: Path, server: ServerProcess, client: httpx.Client
) -> None:
    client.post("/v1/classify", json={"text": "hunter2 good"}, headers={"x-request-id": "find-me"})
    client.post("/v1/classify", content=b'{"text": "hunter2')
    deadline = time.monotonic() + 5
    rows: list[tuple[object, ...]] = []
    while not rows and time.monotonic() < deadline:
        connection = sqlite3.connect(folder / "requests.db")
        rows = connection.execute(
            "SELECT key_name, route, status, texts, tokens FROM requests WHERE request_id = 'find-me'"
        ).fetchall()
        connection.close()
        time.sleep(0.05)

    assert rows == [("default", "/v1/classify", 200, 1, 2)]
    assert all(b"hunter2" not in path.read_bytes() for path in folder.glob("requests.db*"))
    assert not any("hunter2" in line or KEY in line for line in server.lines)


def timed(client: httpx.Client) -> float:
    started = time.monotonic()
    assert client.post("/v1/classify", json={"text": "good"}).status_code == 200
    return time.monotonic() - started


def receive(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection or resets it."""
    answer = b""
    try:
        while block := connection.recv(65536):
            answer += block
    except ConnectionResetError:
        pass
    return answer


def resident_mebibytes(server: ServerProcess) -> float:
    import psutil

    return psutil.Process(server.process.pid).memory_info().rss / (1 << 20)
