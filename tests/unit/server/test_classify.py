from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_server.classify import ClassifyRequest, parse, render
from llmctl_server.errors import ApiError
from llmctl_server.jobs import Answer


def parsed(body: Any) -> ClassifyRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(content, model="attention", max_texts=3)


def refused(body: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parsed(body)
    return caught.value


def test_one_text_is_a_single_request() -> None:
    assert parsed({"text": "a 😀 film"}) == ClassifyRequest(["a 😀 film"], "text", single=True, truncate=False)


@pytest.mark.parametrize("field", ["text", "texts"])
def test_a_list_may_be_sent_under_either_name(field: str) -> None:
    request = parsed({field: ["a", "b"], "truncate": True, "model": "attention"})

    assert request == ClassifyRequest(["a", "b"], field, single=False, truncate=True)
    assert request.name_of(1) == f"{field}[1]"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"text=hello", 400, "invalid_json", None),
        (b'{"text": "a"} x', 400, "invalid_json", None),
        (b"\xff\xfe\x00", 400, "invalid_json", None),
        (b'{"text": "\xe9"}', 400, "invalid_json", None),
        (b'{"text": "a\x00b"}', 400, "invalid_json", None),
        (b'{"text": "\\ud800"}', 400, "invalid_json", None),
        (b'{"text": NaN}', 400, "invalid_json", None),
        (b"\x1f\x8b\x08\x00\x00", 400, "invalid_json", None),
        (b"[" * 5000, 400, "invalid_json", None),
        ([], 422, "invalid_type", None),
        ("text", 422, "invalid_type", None),
        (None, 422, "invalid_type", None),
        ({}, 422, "missing_field", "text"),
        ({"text": "a", "texts": ["b"]}, 422, "conflicting_fields", "text"),
        ({"text": None}, 422, "invalid_type", "text"),
        ({"text": 3}, 422, "invalid_type", "text"),
        ({"texts": "a"}, 422, "invalid_type", "texts"),
        ({"texts": ["a", 3]}, 422, "invalid_type", "texts[1]"),
        ({"text": ["a", None]}, 422, "invalid_type", "text[1]"),
        ({"texts": []}, 422, "empty_list", "texts"),
        ({"texts": ["a"] * 4}, 422, "too_many_texts", "texts"),
        ({"text": ""}, 422, "empty_text", "text"),
        ({"text": " \n\u00a0\t"}, 422, "empty_text", "text"),
        ({"texts": ["a", ""]}, 422, "empty_text", "texts[1]"),
        ({"text": "a\0b"}, 422, "invalid_text", "text"),
        ({"text": "a", "truncate": "yes"}, 422, "invalid_type", "truncate"),
        ({"text": "a", "truncat": True}, 422, "unknown_field", "truncat"),
        ({"text": "a", "model": "gpt"}, 404, "model_not_found", "model"),
        ({"text": "a", "model": 3}, 404, "model_not_found", "model"),
    ],
)
def test_what_is_no_request_is_refused_with_its_reason(
    body: Any, status: int, code: str, param: str | None
) -> None:
    error = refused(body)

    assert (error.status, error.code, error.param) == (status, code, param)
    assert len(error.message) < 200


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["text", "texts", "truncate", "model", "x"]), inner)
        ),
        max_leaves=6,
    )
)
def test_any_body_is_understood_or_refused(body: Any) -> None:
    try:
        texts = parsed(body).texts
    except ApiError as error:
        texts = []
        status = error.status
    else:
        status = 200

    assert (status == 200) == bool(texts)
    assert status in {200, 400, 404, 422}
    assert all(text.strip() for text in texts)


def test_a_secret_in_the_text_is_not_repeated_in_the_refusal() -> None:
    for body in (b'{"text": "hunter2" ', {"text": "hunter2\0"}, {"texts": ["hunter2", 3]}, ["hunter2"]):
        assert "hunter2" not in refused(body).message


def test_one_text_gets_one_result() -> None:
    body = render(parsed({"text": "a"}), [Answer(0.75, 3, truncated=False)], model="attention", request_id="r1")

    assert json.loads(body) == {
        "model": "attention",
        "label": "positive",
        "score": 0.75,
        "tokens": 3,
        "truncated": False,
        "request_id": "r1",
    }


def test_a_list_gets_a_list_of_results() -> None:
    answers = [Answer(0.5, 3, truncated=False), Answer(0.49999, 9, truncated=True)]
    body = render(parsed({"texts": ["a", "b"]}), answers, model="attention", request_id="r1")

    assert json.loads(body) == {
        "model": "attention",
        "results": [
            {"label": "positive", "score": 0.5, "tokens": 3, "truncated": False},
            {"label": "negative", "score": 0.49999, "tokens": 9, "truncated": True},
        ],
        "request_id": "r1",
    }
