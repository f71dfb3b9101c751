"""The OpenAPI 3.1 document of the server."""

from __future__ import annotations

from typing import Any

from llmctl_server import __version__
from llmctl_server.classify import NEGATIVE, POSITIVE
from llmctl_server.settings import Settings

_TEXT = {"type": "string", "minLength": 1, "description": "Not empty, not only white space, without NUL"}
_REQUEST_ID = {"type": "string", "description": "As in the header x-request-id"}


def document(settings: Settings) -> dict[str, Any]:
    """Describe the routes with the limits of `settings`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llmctl inference server",
            "version": __version__,
            "description": "Sentiment of English texts by an attention model.",
        },
        "security": [{"bearer": []}, {"header": []}] if settings.keys_file else [],
        "paths": {
            "/v1/classify": {"post": _classify(settings)},
            "/v1/models": {"get": _get("List the models", "ModelList")},
            "/info": {"get": _get("Describe the model, the engine and the limits", "Info")},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _get("This document", "Document")},
            "/livez": {"get": _probe("Whether the process works", "500")},
            "/readyz": {"get": _probe("Whether new work is accepted", "503")},
            "/startupz": {"get": _probe("Whether the model is loaded, with the time of each step", "503")},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "schemas": _schemas(settings),
        },
    }


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _get(summary: str, schema: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {
            "200": _json("OK", _reference(schema)),
            "401": _json("No valid API key", _reference("Error")),
        },
    }


def _metrics() -> dict[str, Any]:
    page = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "summary": "Metrics for Prometheus",
        "responses": {"200": page, "401": _json("No valid API key", _reference("Error"))},
    }


def _probe(summary: str, otherwise: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": _json("Yes", _reference("Probe")), otherwise: _json("No", _reference("Probe"))},
    }


def _classify(settings: Settings) -> dict[str, Any]:
    refusals = {
        "400": "Not JSON in UTF-8, or a bad header",
        "401": "No valid API key",
        "404": "Another model is asked for",
        "408": "The body did not arrive in time",
        "413": f"The body is larger than {settings.max_body_bytes} bytes",
        "415": "The body is compressed",
        "422": "JSON, but not a request that can be answered",
        "429": "Too many texts wait; see Retry-After",
        "500": "The model failed",
        "503": "The server starts or stops; see Retry-After",
        "504": "Not done within x-llmctl-timeout-ms",
    }
    answer = {"oneOf": [_reference("Classification"), _reference("Classifications")]}
    header = {"in": "header", "required": False}
    return {
        "summary": "Classify a text or a list of texts",
        "parameters": [
            {"name": "x-request-id", "schema": {"type": "string", "maxLength": 128}, **header},
            {
                "name": "x-llmctl-timeout-ms",
                "schema": {"type": "integer", "minimum": 1, "maximum": 3_600_000},
                "description": "Answer within this time or not at all",
                **header,
            },
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _reference("ClassifyRequest")}},
        },
        "responses": {
            "200": _json("OK", answer),
            **{status: _json(text, _reference("Error")) for status, text in refusals.items()},
        },
    }


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = (), closed: bool = True) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        **({"additionalProperties": False} if closed else {}),
    }


def _schemas(settings: Settings) -> dict[str, Any]:
    many = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": settings.max_texts}
    result = {
        "label": {"enum": [POSITIVE, NEGATIVE]},
        "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability of positive"},
        "tokens": {"type": "integer", "minimum": 1, "maximum": settings.max_tokens},
        "truncated": {"type": "boolean", "description": "Whether the text was longer and was cut"},
    }
    model = {"type": "string"}
    results = {"type": "array", "items": _reference("Result"), "minItems": 1}
    request = {
        "text": {"oneOf": [_TEXT, many]},
        "texts": many,
        "truncate": {"type": "boolean", "default": False, "description": "Cut texts that are too long"},
        "model": {"type": "string", "const": settings.model_name},
    }
    return {
        "ClassifyRequest": {
            **_object(request, optional=tuple(request)),
            "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
        },
        "Result": _object(result),
        "Classification": _object({"model": model, **result, "request_id": _REQUEST_ID}),
        "Classifications": _object({"model": model, "results": results, "request_id": _REQUEST_ID}),
        "Error": _error(),
        "Probe": _object(
            {
                "status": {"enum": ["alive", "broken", "starting", "started", "ready", "draining"]},
                "seconds": {"type": "number"},
                "phases": {"type": "object", "additionalProperties": {"type": "number"}},
            },
            optional=("seconds", "phases"),
        ),
        "ModelList": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _model()}}),
        "Info": _info(),
        "Document": {"type": "object"},
    }


def _error() -> dict[str, Any]:
    families = [
        "invalid_request_error",
        "authentication_error",
        "rate_limit_error",
        "unavailable_error",
        "server_error",
    ]
    return _object(
        {
            "error": _object(
                {
                    "type": {"enum": families},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "request_id": _REQUEST_ID,
                }
            )
        }
    )


def _model() -> dict[str, Any]:
    return _object(
        {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        }
    )


def _info() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 1}
    return _object(
        {
            "version": {"type": "string"},
            "replica": {"type": "string"},
            "release": {"type": "string"},
            "model": _object(
                {"name": {"type": "string"}, "digest": {"type": "string"}, "card": {"type": "object"}}
            ),
            "engine": _object({"name": {"type": "string"}, "version": {"type": "string"}, "threads": count}),
            "limits": _object(dict.fromkeys(("max_body_bytes", "max_tokens", "max_texts", "max_queue"), count)),
        }
    )
