"""What the server says about itself: probes, model list, info, metrics and the OpenAPI document."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson

from llmctl_server import __version__, openapi
from llmctl_server.errors import ApiError
from llmctl_server.exchange import Exchange, Reply
from llmctl_server.loaded import LoadedModel
from llmctl_server.metrics import CONTENT_TYPE, Metrics
from llmctl_server.service import ClassifyService
from llmctl_server.settings import Settings
from llmctl_server.state import READY, STARTING, State


class Pages:
    """Answers everything that is not work."""

    def __init__(self, settings: Settings, state: State, metrics: Metrics, service: ClassifyService) -> None:
        """Store the sources of the pages."""
        self._settings = settings
        self._state = state
        self._metrics = metrics
        self._service = service
        self._openapi = orjson.dumps(openapi.document(settings))
        self._info: dict[str, Any] | None = None
        self._models: list[dict[str, Any]] = []

    def serve(self, model: LoadedModel) -> None:
        """Describe `model` from now on."""
        settings = self._settings
        created = _unix_time(model.card.get("created")) or int(self._state.started_at)
        self._models = [{"id": settings.model_name, "object": "model", "created": created, "owned_by": "llmctl"}]
        self._info = {
            "version": __version__,
            "replica": settings.replica,
            "release": settings.release,
            "model": {"name": settings.model_name, "digest": model.digest, "card": dict(model.card)},
            "engine": {
                "name": model.engine.name,
                "version": model.engine_version,
                "threads": model.threads,
            },
            "limits": {
                "max_body_bytes": settings.max_body_bytes,
                "max_tokens": settings.max_tokens,
                "max_texts": settings.max_texts,
                "max_queue": settings.max_queue,
            },
        }

    async def livez(self, _: Exchange) -> Reply:
        """Whether the event loop and every worker run."""
        alive = self._service.alive
        return _json({"status": "alive" if alive else "broken"}, 200 if alive else 500)

    async def readyz(self, _: Exchange) -> Reply:
        """Whether new work is accepted."""
        return _json({"status": self._state.status}, 200 if self._state.status == READY else 503)

    async def startupz(self, _: Exchange) -> Reply:
        """Whether the model is loaded; stays so until the end."""
        started = self._info is not None
        page = {
            "status": "started" if started else STARTING,
            "seconds": self._state.ready_seconds,
            "phases": self._state.phases,
        }
        return _json(page, 200 if started else 503)

    async def models(self, _: Exchange) -> Reply:
        """The models in the shape of the OpenAI API; none until the model is loaded."""
        return _json({"object": "list", "data": self._models})

    async def info(self, _: Exchange) -> Reply:
        """Version, model with its card, engine and limits.

        Raises:
            ApiError: the model is not loaded yet.
        """
        if self._info is None:
            raise ApiError(503, "starting", "the model is being loaded", retry_after=1)
        return _json(self._info)

    async def metrics(self, _: Exchange) -> Reply:
        """The page for Prometheus."""
        return Reply(self._metrics.render(), content_type=CONTENT_TYPE.encode())

    async def openapi(self, _: Exchange) -> Reply:
        """The description of the API."""
        return Reply(self._openapi)


def _json(document: dict[str, Any], status: int = 200) -> Reply:
    return Reply(orjson.dumps(document), status)


def _unix_time(day: object) -> int:
    """Seconds since 1970 of an ISO date, or 0."""
    try:
        return int(dt.datetime.fromisoformat(str(day)).replace(tzinfo=dt.UTC).timestamp())
    except ValueError:
        return 0
