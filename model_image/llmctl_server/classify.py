"""The request and the answer of `POST /v1/classify`: a text or a list of texts in, labels and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from llmctl_server.errors import ApiError
from llmctl_server.jobs import Answer

POSITIVE = "positive"
NEGATIVE = "negative"
THRESHOLD = 0.5
"""A text with at least this score is positive."""

FIELDS = ("text", "texts", "truncate", "model")


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """A request that is understood.

    Attributes:
        texts: one or more, none of them empty.
        field: `text` or `texts`: where they came from.
        single: whether the caller sent one text rather than a list, and gets one result.
        truncate: cut texts that are too long instead of refusing them.
    """

    texts: list[str]
    field: str
    single: bool
    truncate: bool

    def name_of(self, index: int) -> str:
        """Where the caller wrote a text: `text`, or `texts[3]`."""
        return self.field if self.single else f"{self.field}[{index}]"


def parse(body: bytes, *, model: str, max_texts: int) -> ClassifyRequest:
    """Understand a request body.

    Args:
        body: as received.
        model: name of the model that is served.
        max_texts: most texts in a list.

    Raises:
        ApiError: 400 when it is not JSON in UTF-8, 404 when it asks for another model, 422 when it is JSON but
            not a request.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        why = str(error) if body else "it is empty"
        raise ApiError(
            400, "invalid_json", f'the body is not JSON in UTF-8: {why}; send {{"text": "..."}}'
        ) from None
    if not isinstance(document, dict):
        raise ApiError(422, "invalid_type", 'the body must be a JSON object such as {"text": "..."}')
    for name in document:
        if name not in FIELDS:
            message = f"unknown field {name[:40]!r}; the fields are {', '.join(FIELDS)}"
            raise ApiError(422, "unknown_field", message, name[:40])
    truncate = document.get("truncate", False)
    if not isinstance(truncate, bool):
        raise ApiError(422, "invalid_type", "`truncate` must be true or false", "truncate")
    wanted = document.get("model")
    if wanted is not None and wanted != model:
        raise ApiError(404, "model_not_found", f"this server serves the model {model!r} only", "model")
    field, single, texts = _texts(document, max_texts)
    request = ClassifyRequest(texts, field, single, truncate)
    for index, text in enumerate(texts):
        _check(text, request, index)
    return request


def render(request: ClassifyRequest, answers: Sequence[Answer], *, model: str, request_id: str) -> bytes:
    """The body of the answer: one result for one text, else a list of results."""
    results = [_result(answer) for answer in answers]
    if request.single:
        return orjson.dumps({"model": model, **results[0], "request_id": request_id})
    return orjson.dumps({"model": model, "results": results, "request_id": request_id})


def _texts(document: dict[str, Any], max_texts: int) -> tuple[str, bool, list[Any]]:
    given = [name for name in ("text", "texts") if name in document]
    if len(given) != 1:
        message = "send either `text` or `texts`" + (", not both" if given else "")
        raise ApiError(422, "conflicting_fields" if given else "missing_field", message, "text")
    (field,) = given
    value = document[field]
    if field == "text" and isinstance(value, str):
        return field, True, [value]
    if not isinstance(value, list):
        expected = "a text or a list of texts" if field == "text" else "a list of texts"
        raise ApiError(422, "invalid_type", f"`{field}` must be {expected}", field)
    if not value:
        raise ApiError(422, "empty_list", f"`{field}` holds no text", field)
    if len(value) > max_texts:
        message = f"`{field}` holds {len(value)} texts, the limit is {max_texts}; send several requests"
        raise ApiError(422, "too_many_texts", message, field)
    return field, False, value


def _check(text: object, request: ClassifyRequest, index: int) -> None:
    if not isinstance(text, str):
        name = request.name_of(index)
        raise ApiError(422, "invalid_type", f"`{name}` must be a text", name)
    if not text or text.isspace():
        name = request.name_of(index)
        raise ApiError(422, "empty_text", f"`{name}` is empty: there is nothing to classify", name)
    if "\0" in text:
        name = request.name_of(index)
        raise ApiError(422, "invalid_text", f"`{name}` holds a NUL character; is it binary?", name)


def _result(answer: Answer) -> dict[str, Any]:
    return {
        "label": POSITIVE if answer.score >= THRESHOLD else NEGATIVE,
        "score": round(answer.score, 6),
        "tokens": answer.tokens,
        "truncated": answer.truncated,
    }
