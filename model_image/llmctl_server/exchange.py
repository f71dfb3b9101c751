"""One request on its way to an answer: what came in, and what is to be remembered of it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from llmctl_server.body import Receive
from llmctl_server.errors import ApiError

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        body: as sent.
        status: HTTP status.
        content_type: of the body.
        headers: further headers.
        close: whether the connection must end with it.
    """

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False


class Exchange:
    """A request while it is handled. Collects what the metrics and the request log need.

    Attributes:
        receive: of ASGI.
        headers: names in lower case; the last of several with one name.
        request_id: the caller's when it is fit to be logged, else a new one.
        began: when its head was read, in seconds of `time.perf_counter`.
        key_name: name of the API key; empty until one is accepted.
        texts: number of texts, as far as the body was understood.
        tokens: tokens that the model read.
        queue_seconds: time until a worker took it up.
        run_seconds: time from then to the last answer.
    """

    __slots__ = (
        "began",
        "headers",
        "key_name",
        "queue_seconds",
        "receive",
        "request_id",
        "run_seconds",
        "texts",
        "tokens",
    )

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        self.began = time.perf_counter()
        self.headers = headers
        self.receive = receive
        self.request_id = request_id(headers.get(b"x-request-id", b""))
        self.key_name = ""
        self.texts = 0
        self.tokens = 0
        self.queue_seconds = 0.0
        self.run_seconds = 0.0

    def refuse(self, error: ApiError) -> Reply:
        """The answer that carries an error object."""
        document = {
            "error": {
                "type": error.type,
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "request_id": self.request_id,
            }
        }
        headers = error.headers
        if error.retry_after is not None:
            headers = (*headers, (b"retry-after", b"%d" % error.retry_after))
        return Reply(orjson.dumps(document), error.status, headers=headers, close=error.close)


def request_id(given: bytes) -> str:
    """The caller's request id, or a new one when it is missing, too long or unfit for a log line."""
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def timeout_seconds(headers: Mapping[bytes, bytes]) -> float | None:
    """The caller's deadline from `x-llmctl-timeout-ms`, in seconds, or None.

    Raises:
        ApiError: 400 when it is no number from 1 to 3,600,000.
    """
    raw = headers.get(b"x-llmctl-timeout-ms")
    if raw is None:
        return None
    if not re.fullmatch(rb"[0-9]{1,7}", raw) or not 1 <= int(raw) <= 3_600_000:
        message = "x-llmctl-timeout-ms must be a whole number of milliseconds from 1 to 3600000"
        raise ApiError(400, "invalid_timeout", message, "x-llmctl-timeout-ms")
    return int(raw) / 1000


async def send_reply(reply: Reply, exchange: Exchange, send: Send, *, closing: bool, more: bool = False) -> None:
    """Send an answer.

    Args:
        reply: the answer.
        exchange: what it answers.
        send: of ASGI.
        closing: ask the client to use another connection next.
        more: leave the answer open at its end, so that the connection stays until `finish_reply`.
    """
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", exchange.request_id.encode()),
        *reply.headers,
    ]
    if closing or reply.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": more})


async def finish_reply(send: Send) -> None:
    """End an answer that was left open."""
    await send({"type": "http.response.body", "body": b"", "more_body": False})
