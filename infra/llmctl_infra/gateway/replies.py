"""What the gateway answers by itself: the server's error object, for every status that Envoy can make up."""

from __future__ import annotations

from typing import NamedTuple

from llmctl_infra.gateway.xds import Document


class _Reply(NamedTuple):
    status: int
    type: str
    code: str
    message: str
    header: tuple[str, str] | None = None


_RETRY_SOON = ("retry-after", "1")

REPLIES = (
    _Reply(400, "invalid_request_error", "bad_request", "The request is not valid HTTP."),
    _Reply(
        401,
        "authentication_error",
        "invalid_api_key",
        "Missing or unknown API key: send `Authorization: Bearer KEY` or `x-api-key: KEY`.",
        ("www-authenticate", 'Bearer realm="llmctl"'),
    ),
    _Reply(404, "invalid_request_error", "not_found", "There is no such path; see /openapi.json."),
    _Reply(408, "invalid_request_error", "request_timeout", "The request did not arrive in time."),
    _Reply(413, "invalid_request_error", "body_too_large", "The request body is too large."),
    _Reply(429, "rate_limit_error", "rate_limited", "This API key has used up its rate limit."),
    _Reply(431, "invalid_request_error", "headers_too_large", "The request headers are too large."),
    _Reply(502, "server_error", "bad_gateway", "The server broke off its answer."),
    _Reply(503, "unavailable_error", "unavailable", "No server could take the request.", _RETRY_SOON),
    _Reply(504, "unavailable_error", "timeout", "No server answered in time.", _RETRY_SOON),
)


def local_replies() -> Document:
    """`local_reply_config` of the connection manager."""
    return {
        "mappers": [_mapper(reply) for reply in REPLIES],
        "body_format": _error("server_error", "gateway_error", "The gateway could not serve the request."),
    }


def _mapper(reply: _Reply) -> Document:
    status = {"default_value": reply.status, "runtime_key": f"replies.{reply.status}"}
    mapper: Document = {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": status}}},
        "body_format_override": _error(reply.type, reply.code, reply.message),
    }
    if reply.header is None:
        return mapper
    key, value = reply.header
    return {
        **mapper,
        "headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
    }


def _error(kind: str, code: str, message: str) -> Document:
    fields = {"message": message, "type": kind, "code": code, "param": None, "request_id": "%REQ(X-REQUEST-ID)%"}
    return {"json_format": {"error": fields}}
