"""Reading request bodies without trusting their size, their speed or their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from llmctl_server.errors import ApiError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

BODY_SECONDS = 10.0
"""Time that a client has to send a whole body."""

LINGER_SECONDS = 1.0
"""How long the rest of a refused body is thrown away before the connection ends.

Closing at once would reset the connection while the client still sends, and the reset can overtake the answer.
"""


class ClientGone(Exception):
    """Raised when the client closed the connection before its answer."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], limit: int, seconds: float = BODY_SECONDS
) -> bytes:
    """Read the body of a request.

    Args:
        receive: of ASGI.
        headers: names in lower case.
        limit: most bytes; nothing is read of a body that announces more.
        seconds: time for the whole body.

    Raises:
        ApiError: 413 when it is too large, 408 when it takes too long, 415 when it is compressed.
        ClientGone: the client left.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ApiError(
            415, "compressed_body", "a compressed body is not accepted; send it as it is", "content-encoding"
        )
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _join(receive, limit)
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        raise ApiError(408, "request_timeout", message, close=True) from None


async def discard_body(receive: Receive) -> None:
    """Throw away what still comes of a refused body, for a moment."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        pass


async def _join(receive: Receive, limit: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body") and len(body) <= limit:
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()
    raise ClientGone


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413, "body_too_large", f"the body is larger than {limit} bytes; send fewer or shorter texts", close=True
    )
