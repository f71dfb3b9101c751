"""Asking an ASGI application without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from llmctl_server.app import App


@dataclass(frozen=True)
class Response:
    """An answer; `status` 0 when there was none."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Code of the error object."""
        code: str = self.json["error"]["code"]
        return code


async def ask(
    app: App,
    method: str,
    path: str,
    body: bytes | str | dict[str, Any] = b"",
    *,
    headers: dict[str, str] | None = None,
    messages: AsyncIterator[dict[str, Any]] | None = None,
) -> Response:
    """Send one request.

    Args:
        app: the application.
        method: HTTP method.
        path: without query.
        body: bytes, text, or what is to be sent as JSON.
        headers: further headers.
        messages: what `receive` returns, instead of one message with the body; when they end, the client stays.
    """
    content = json.dumps(body) if isinstance(body, dict) else body
    content = content.encode() if isinstance(content, str) else content
    given = {"content-length": str(len(content)), **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    source = messages or _one(content)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        async for message in source:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return Response(0, {}, b"")
    return Response(
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


async def _one(content: bytes) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "http.request", "body": content, "more_body": False}
