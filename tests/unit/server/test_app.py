from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from llmctl_server import openapi, service
from llmctl_server.app import App
from llmctl_server.auth import KeyFile
from llmctl_server.body import read_body
from llmctl_server.errors import ApiError
from llmctl_server.settings import Settings
from llmctl_server.state import State
from support.asgi import Response, ask
from support.fake_engine import FakeEngine, serving, settings_of

KEY = "llmctl_" + "k" * 43


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    path = tmp_path / "keys.json"
    path.write_text(
        json.dumps({"keys": [{"name": "default", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]})
    )
    return KeyFile(path)


def follows_the_document(response: Response, method: str, path: str, settings: Settings | None = None) -> None:
    """Assert that the OpenAPI document knows the answer's status and that its body has the promised shape."""
    document = openapi.document(settings or settings_of())
    responses = document["paths"][path][method.lower()]["responses"]
    schema = responses[str(response.status)]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(response.json)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.body))
    if response.status != 200:
        assert response.json["error"]["request_id"] == response.headers["x-request-id"]


async def classify(app: App, body: Any, **headers: str) -> Response:
    return await ask(
        app,
        "POST",
        "/v1/classify",
        body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


async def occupied(app: App, engine: FakeEngine) -> asyncio.Task[Response]:
    """Keep the one worker busy with a request of two texts until the gate opens."""
    engine.gate.clear()
    while engine.entered.acquire(blocking=False):
        pass
    task = asyncio.create_task(classify(app, {"texts": ["busy", "busy"]}))
    assert await asyncio.to_thread(engine.entered.acquire, timeout=5)
    return task


async def until_waiting(app: App, texts: int) -> None:
    """Wait until so many texts are in the queue."""
    while app._service.waiting != texts:
        await asyncio.sleep(0)


async def gone() -> AsyncIterator[dict[str, Any]]:
    """A client that leaves as soon as it has sent everything."""
    yield {"type": "http.request", "body": b'{"text": "good"}', "more_body": False}
    yield {"type": "http.disconnect"}


async def test_a_text_is_classified() -> None:
    async with serving(FakeEngine()) as app:
        response = await classify(app, {"text": "good film"}, x_request_id="r-1")

    assert response.json == {
        "model": "attention",
        "label": "positive",
        "score": 0.5,
        "tokens": 2,
        "truncated": False,
        "request_id": "r-1",
    }
    assert response.headers["x-request-id"] == "r-1"
    assert "connection" not in response.headers
    follows_the_document(response, "post", "/v1/classify")


async def test_a_list_is_classified_in_its_order() -> None:
    async with serving(FakeEngine()) as app:
        response = await classify(app, {"texts": ["bad", "good", "good bad bad 😀"]})

    assert [result["score"] for result in response.json["results"]] == [0.0, 1.0, 0.25]
    follows_the_document(response, "post", "/v1/classify")


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, 'a"b', "é", "-x"])
async def test_a_request_id_that_is_unfit_for_a_log_is_replaced(given: str) -> None:
    async with serving(FakeEngine()) as app:
        response = await classify(app, {"text": "good"}, x_request_id=given)

    assert response.headers["x-request-id"] == response.json["request_id"] != given
    assert len(response.json["request_id"]) == 32


REFUSALS: list[tuple[Any, dict[str, str], int, str]] = [
    ("{", {}, 400, "invalid_json"),
    ({"text": ""}, {}, 422, "empty_text"),
    ({"text": "good " * 11}, {}, 422, "too_many_tokens"),
    ({"texts": ["ok", "good " * 11]}, {}, 422, "too_many_tokens"),
    ({"text": "x" * 3000}, {}, 413, "body_too_large"),
    ({"text": "a"}, {"content_encoding": "gzip"}, 415, "compressed_body"),
    ({"text": "a"}, {"x_llmctl_timeout_ms": "soon"}, 400, "invalid_timeout"),
    ({"text": "a"}, {"x_llmctl_timeout_ms": "0"}, 400, "invalid_timeout"),
    ({"text": "a", "model": "other"}, {}, 404, "model_not_found"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), REFUSALS)
async def test_a_refusal_is_an_error_object(body: Any, headers: dict[str, str], status: int, code: str) -> None:
    settings = settings_of(LLMCTL_MAX_TOKENS="10", LLMCTL_MAX_BODY_BYTES="2000")
    async with serving(FakeEngine(), settings) as app:
        response = await classify(app, body, **headers)

    assert (response.status, response.code) == (status, code)
    follows_the_document(response, "post", "/v1/classify", settings)


async def test_a_long_text_is_refused_with_its_length_or_cut_on_request() -> None:
    async with serving(FakeEngine(), settings_of(LLMCTL_MAX_TOKENS="10")) as app:
        refused = await classify(app, {"texts": ["good", "good " * 11]})
        cut = await classify(app, {"texts": ["good", "good " * 11], "truncate": True})

    assert refused.json["error"]["param"] == "texts[1]"
    assert "11 tokens, the limit is 10" in refused.json["error"]["message"]
    assert [(each["tokens"], each["truncated"]) for each in cut.json["results"]] == [(1, False), (10, True)]


async def test_a_body_that_announces_too_much_is_refused_unread() -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was read")

    with pytest.raises(ApiError) as caught:
        await read_body(never, {b"content-length": b"104857600"}, 1 << 20)

    assert (caught.value.status, caught.value.code, caught.value.close) == (413, "body_too_large", True)


async def test_a_body_without_announced_length_is_read_no_further_than_the_limit() -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    with pytest.raises(ApiError) as caught:
        await read_body(receive, {}, 3500)

    assert caught.value.status == 413
    assert sent == 4


async def test_the_rest_of_a_refused_body_is_thrown_away_so_that_the_answer_arrives() -> None:
    thrown_away = 0

    async def messages() -> AsyncIterator[dict[str, Any]]:
        nonlocal thrown_away
        for _ in range(50):
            thrown_away += 1
            yield {"type": "http.request", "body": b" " * 1000, "more_body": True}
        yield {"type": "http.disconnect"}

    async with serving(FakeEngine()) as app:
        response = await ask(
            app, "POST", "/v1/classify", headers={"content-length": str(100 << 20)}, messages=messages()
        )

    assert (response.status, response.headers["connection"]) == (413, "close")
    assert thrown_away == 50


async def test_a_body_that_never_comes_is_given_up() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ApiError) as caught:
        await read_body(never, {b"content-length": b"10"}, 100, seconds=0.01)

    assert (caught.value.status, caught.value.code, caught.value.close) == (408, "request_timeout", True)


async def test_a_client_that_leaves_during_its_body_is_no_error() -> None:
    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b'{"te', "more_body": True}
        yield {"type": "http.disconnect"}

    async with serving(FakeEngine()) as app:
        response = await ask(app, "POST", "/v1/classify", messages=messages())
        page = await ask(app, "GET", "/metrics")

    assert response.status == 0
    assert b'llmctl_requests_total{route="/v1/classify",status="499"} 1.0' in page.body


async def test_the_waiting_text_of_a_client_that_left_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "WATCH_AFTER_SECONDS", 0.01)
    engine = FakeEngine()
    async with serving(engine) as app:
        first = await occupied(app, engine)
        left = await ask(app, "POST", "/v1/classify", messages=gone())
        engine.gate.set()
        assert (await first).status == 200

    assert left.status == 0
    assert len(engine.runs) == 1


async def test_a_request_that_is_not_done_in_its_own_time_is_answered_504() -> None:
    engine = FakeEngine()
    async with serving(engine) as app:
        first = await occupied(app, engine)
        late = await classify(app, {"text": "good"}, x_llmctl_timeout_ms="20")
        engine.gate.set()
        await first

    assert (late.status, late.code) == (504, "deadline_exceeded")
    assert "0.02 s" in late.json["error"]["message"]
    assert len(engine.runs) == 1
    follows_the_document(late, "post", "/v1/classify")


async def test_a_full_queue_is_answered_429_with_a_time_to_come_back() -> None:
    engine = FakeEngine()
    settings = settings_of(LLMCTL_MAX_QUEUE="2", LLMCTL_MAX_TEXTS="2")
    async with serving(engine, settings) as app:
        first = await occupied(app, engine)
        waiting = asyncio.create_task(classify(app, {"texts": ["a", "b"]}))
        await until_waiting(app, 2)
        full = await classify(app, {"text": "good"})
        engine.gate.set()
        await asyncio.gather(first, waiting)

    assert (full.status, full.code, full.json["error"]["type"]) == (429, "queue_full", "rate_limit_error")
    assert int(full.headers["retry-after"]) >= 1
    follows_the_document(full, "post", "/v1/classify", settings)


async def test_an_error_of_the_model_is_answered_500_without_a_word_of_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = FakeEngine()
    engine.failure = RuntimeError("cannot handle 'my secret text'")
    async with serving(engine) as app:
        response = await classify(app, {"text": "my secret text"}, x_request_id="r-9")

    assert (response.status, response.code, response.json["error"]["type"]) == (
        500,
        "internal_error",
        "server_error",
    )
    assert "secret" not in response.body.decode()
    (record,) = caplog.records
    assert record.fields == {"request_id": "r-9", "route": "/v1/classify"}  # type: ignore[attr-defined]
    follows_the_document(response, "post", "/v1/classify")


async def test_while_the_model_loads_probes_answer_and_work_is_sent_elsewhere() -> None:
    app = App(settings_of(), State(began=0.0, drain_delay=0.0, grace=5.0))

    answers = {path: await ask(app, "GET", path) for path in ("/livez", "/readyz", "/startupz", "/v1/models")}
    work = await classify(app, {"text": "good"})
    info = await ask(app, "GET", "/info")

    assert [answer.status for answer in answers.values()] == [200, 503, 503, 200]
    assert answers["/readyz"].json == {"status": "starting"}
    assert answers["/v1/models"].json == {"object": "list", "data": []}
    assert (work.status, work.code, work.headers["retry-after"]) == (503, "starting", "1")
    assert (info.status, info.code) == (503, "starting")


async def test_while_draining_probes_say_so_and_work_is_sent_elsewhere() -> None:
    state = State(began=0.0, drain_delay=3.0, grace=5.0)
    async with serving(FakeEngine(), state=state) as app:
        assert (await ask(app, "GET", "/readyz")).json == {"status": "ready"}
        state.drain()
        ready, live, started, work, metrics = [
            await ask(app, "GET", "/readyz"),
            await ask(app, "GET", "/livez"),
            await ask(app, "GET", "/startupz"),
            await classify(app, {"text": "good"}),
            await ask(app, "GET", "/metrics"),
        ]

    assert (ready.status, ready.json) == (503, {"status": "draining"})
    assert (live.status, started.status, metrics.status) == (200, 200, 200)
    assert (work.status, work.code, work.headers["retry-after"]) == (503, "draining", "3")
    assert work.headers["connection"] == ready.headers["connection"] == "close"
    assert b"llmctl_ready 0.0" in metrics.body
    follows_the_document(work, "post", "/v1/classify")


async def test_what_was_accepted_before_the_drain_is_finished() -> None:
    engine = FakeEngine()
    state = State(began=0.0, drain_delay=0.0, grace=5.0)
    async with serving(engine, state=state) as app:
        accepted = await occupied(app, engine)
        state.drain()
        assert state.in_flight == 1
        assert not state.drained(state.draining_since or 0)
        engine.gate.set()
        response = await accepted

    assert response.status == 200
    assert response.headers["connection"] == "close"
    assert state.drained(state.draining_since or 0)


async def test_what_is_unfinished_at_the_very_end_is_told_so() -> None:
    engine = FakeEngine()
    async with serving(engine) as app:
        unfinished = await occupied(app, engine)
        assert app.stop() == 1
        response = await unfinished

    assert (response.status, response.code) == (503, "draining")


@pytest.mark.parametrize(
    "path", ["/v1/classify", "/v1/models", "/info", "/metrics", "/openapi.json", "/nothing", "/"]
)
async def test_every_path_but_the_probes_needs_a_key(keys: KeyFile, path: str) -> None:
    async with serving(FakeEngine(), keys=keys) as app:
        for headers in ({}, {"x-api-key": "wrong"}):
            response = await ask(app, "GET", path, headers=headers)
            assert response.status == 401
            assert response.headers["www-authenticate"] == 'Bearer realm="llmctl"'
            assert response.json["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
async def test_probes_need_no_key(keys: KeyFile, path: str) -> None:
    async with serving(FakeEngine(), keys=keys) as app:
        response = await ask(app, "GET", path)
        assert (response.status, (await ask(app, "HEAD", path)).status) == (200, 200)
        follows_the_document(response, "get", path)


async def test_a_key_opens_every_path(keys: KeyFile) -> None:
    async with serving(FakeEngine(), keys=keys) as app:
        for path in ("/v1/models", "/info", "/openapi.json"):
            response = await ask(app, "GET", path, headers={"authorization": f"Bearer {KEY}"})
            assert response.status == 200
            follows_the_document(response, "get", path)
        assert (await classify(app, {"text": "good"}, x_api_key=KEY)).status == 200


async def test_a_wrong_key_is_refused_before_the_body_is_read(keys: KeyFile) -> None:
    async def never() -> AsyncIterator[dict[str, Any]]:
        raise AssertionError("the body was read")
        yield {}

    async with serving(FakeEngine(), keys=keys) as app:
        response = await ask(app, "POST", "/v1/classify", headers={"x-api-key": "wrong"}, messages=never())

    assert response.status == 401


async def test_an_unknown_path_is_404() -> None:
    async with serving(FakeEngine()) as app:
        response = await ask(app, "GET", "/v1/chat/completions")

    assert (response.status, response.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/v1/classify", "POST"), ("DELETE", "/v1/classify", "POST"), ("POST", "/info", "GET, HEAD")],
)
async def test_a_wrong_method_is_405_and_names_the_right_one(method: str, path: str, allow: str) -> None:
    async with serving(FakeEngine()) as app:
        response = await ask(app, method, path)

    assert (response.status, response.code, response.headers["allow"]) == (405, "wrong_method", allow)


async def test_the_model_list_has_the_shape_of_the_openai_api() -> None:
    async with serving(FakeEngine(), settings_of(LLMCTL_MODEL_NAME="mine")) as app:
        response = await ask(app, "GET", "/v1/models")

    (model,) = response.json["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("mine", "model", "llmctl")
    follows_the_document(response, "get", "/v1/models")


async def test_info_tells_model_engine_and_limits() -> None:
    settings = settings_of(LLMCTL_REPLICA="server-2", LLMCTL_RELEASE="r7", LLMCTL_MAX_TOKENS="99")
    async with serving(FakeEngine(), settings, workers=2) as app:
        response = await ask(app, "GET", "/info")

    info = response.json
    assert (info["replica"], info["release"], info["engine"]["threads"]) == ("server-2", "r7", 2)
    assert info["model"] == {"name": "attention", "digest": "sha256:" + "0" * 64, "card": {"name": "fake"}}
    assert info["limits"] == {"max_body_bytes": 1 << 20, "max_tokens": 99, "max_texts": 64, "max_queue": 512}
    follows_the_document(response, "get", "/info", settings)


async def test_the_document_is_valid_openapi_with_every_route() -> None:
    async with serving(FakeEngine()) as app:
        document = (await ask(app, "GET", "/openapi.json")).json

    assert document == openapi.document(settings_of())
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == set(app._routes)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_the_document_describes_the_requests_that_are_accepted() -> None:
    schema = openapi.document(settings_of())
    validator = Draft202012Validator(
        {"$ref": "#/components/schemas/ClassifyRequest", "components": schema["components"]}
    )

    for accepted in (
        {"text": "a"},
        {"text": ["a"]},
        {"texts": ["a", "b"], "truncate": True, "model": "attention"},
    ):
        assert validator.is_valid(accepted)
    for refused in ({}, {"text": ""}, {"texts": []}, {"text": "a", "texts": ["a"]}, {"text": "a", "more": 1}):
        assert not validator.is_valid(refused)


async def test_metrics_count_answers_and_what_is_waiting() -> None:
    engine = FakeEngine()
    async with serving(engine) as app:
        await classify(app, {"text": "good"})
        await classify(app, "{")
        await ask(app, "GET", "/secret-path")
        first = await occupied(app, engine)
        waiting = asyncio.create_task(classify(app, {"texts": ["a", "b", "c"]}))
        await until_waiting(app, 3)
        page = (await ask(app, "GET", "/metrics")).body.decode()
        engine.gate.set()
        await asyncio.gather(first, waiting)

    for line in (
        'llmctl_requests_total{route="/v1/classify",status="200"} 1.0',
        'llmctl_requests_total{route="/v1/classify",status="400"} 1.0',
        'llmctl_requests_total{route="unknown",status="404"} 1.0',
        'llmctl_request_seconds_count{route="/v1/classify"} 2.0',
        "llmctl_in_flight_requests 2.0",
        "llmctl_queue_texts 3.0",
        "llmctl_ready 1.0",
        "llmctl_model_load_seconds 0.1",
    ):
        assert line in page.splitlines()
    assert "secret-path" not in page


async def test_a_dead_worker_fails_the_liveness_probe() -> None:
    async with serving(FakeEngine()) as app:
        app.stop()
        for _ in range(100):
            response = await ask(app, "GET", "/livez")
            if response.status != 200:
                break
            await asyncio.sleep(0.01)

    assert (response.status, response.json) == (500, {"status": "broken"})
