"""One request to a stack's endpoint, as a client would send it."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from llmctl_stacks.errors import DeployError, PreflightError
from llmctl_stacks.results import Answer, Endpoint

_RETRY_SECONDS = 0.1


def ask(endpoint: Endpoint, body: bytes, *, seconds: float = 60.0) -> Answer:
    """Post `body` to the endpoint's path with its first API key.

    Args:
        endpoint: where.
        body: JSON.
        seconds: how long to wait for the answer.

    Raises:
        PreflightError: when the key cannot be read or the endpoint cannot be reached.
    """
    parts = urlsplit(endpoint.url)
    headers = {"content-type": "application/json", **_authorization(endpoint)}
    maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = maker(parts.hostname or "", parts.port, timeout=seconds)
    started = time.perf_counter()
    try:
        connection.request("POST", endpoint.path, body, headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise PreflightError(f"{endpoint.url} does not answer", _cause(error), "llmctl status") from error
    finally:
        connection.close()
    milliseconds = (time.perf_counter() - started) * 1000
    return Answer(response.status, _body(text), response.headers.get("x-request-id"), round(milliseconds, 3))


def first_answer(endpoint: Endpoint, *, seconds: float) -> dict[str, object] | None:
    """The answer to the endpoint's example request, asked until it is good or `seconds` have passed.

    None when the API key's own rate limit is used up: the gateway does its work, and waiting may take long.

    Raises:
        DeployError: when there is no good answer in time.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            answer = ask(endpoint, endpoint.body.encode(), seconds=max(1.0, end - time.monotonic()))
            if answer.status == 200 and isinstance(answer.body, dict):
                return answer.body
            if answer.status == http.client.TOO_MANY_REQUESTS:
                return None
            why = f"status {answer.status}: {json.dumps(answer.body)[:300]}"
        except PreflightError as error:
            why = error.why
        if time.monotonic() > end:
            raise DeployError(
                f"the smoke test got no good answer from {endpoint.url} in {seconds:.0f} s", why, "llmctl logs"
            )
        time.sleep(_RETRY_SECONDS)


def _authorization(endpoint: Endpoint) -> dict[str, str]:
    if endpoint.key_path is None:
        return {}
    try:
        return {"authorization": f"Bearer {Path(endpoint.key_path).read_text().strip()}"}
    except OSError as error:
        raise PreflightError(
            f"cannot read the API key {endpoint.key_path}", error.strerror or str(error), "llmctl up"
        ) from error


def _cause(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _body(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
