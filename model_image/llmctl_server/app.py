"""The ASGI application: which route a request takes, who may take it, and what is remembered of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from llmctl_server.auth import KeyFile
from llmctl_server.body import ClientGone, Receive, discard_body
from llmctl_server.errors import ApiError
from llmctl_server.exchange import Exchange, Reply, Scope, Send, finish_reply, send_reply
from llmctl_server.loaded import LoadedModel
from llmctl_server.metrics import Metrics
from llmctl_server.pages import Pages
from llmctl_server.request_log import RequestLog, Row
from llmctl_server.scheduler import Scheduler
from llmctl_server.service import ClassifyService
from llmctl_server.settings import Settings
from llmctl_server.state import DRAINING, READY, State

_log = logging.getLogger(__name__)

CLIENT_GONE_STATUS = 499
"""Status in metrics and logs of a request whose client left; nobody ever receives it."""

UNKNOWN_ROUTE = "unknown"
"""Route in metrics and logs of a path that does not exist: the path itself could be anything."""


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a path.

    Attributes:
        handle: makes the answer.
        method: the one method it takes; GET takes HEAD too.
        open: needs no API key.
        logged: goes to the request log.
    """

    handle: Callable[[Exchange], Awaitable[Reply]]
    method: str = "GET"
    open: bool = False
    logged: bool = True

    def takes(self, method: str) -> bool:
        """Whether a request with this method is answered."""
        return method == self.method or (method == "HEAD" and self.method == "GET")


class App:
    """The server as a raw ASGI callable. It answers probes from the first moment, work once `serve` was called."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        *,
        keys: KeyFile | None = None,
        request_log: RequestLog | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Build the routes.

        Args:
            settings: limits and names.
            state: where the server is in its life.
            keys: who may call; None lets everybody in.
            request_log: where requests are written; None writes nothing.
            metrics: the counters; None makes new ones.
        """
        self._settings = settings
        self._state = state
        self._keys = keys
        self._request_log = request_log
        self._metrics = metrics or Metrics()
        self._service = service = ClassifyService(settings, state)
        self._pages = pages = Pages(settings, state, self._metrics, service)
        self._routes = {
            "/v1/classify": Route(service.handle, method="POST"),
            "/v1/models": Route(pages.models),
            "/info": Route(pages.info),
            "/openapi.json": Route(pages.openapi),
            "/metrics": Route(pages.metrics, logged=False),
            "/livez": Route(pages.livez, open=True, logged=False),
            "/readyz": Route(pages.readyz, open=True, logged=False),
            "/startupz": Route(pages.startupz, open=True, logged=False),
        }
        self._metrics.watch(
            in_flight=lambda: state.in_flight,
            waiting=lambda: service.waiting,
            backlog=lambda: service.backlog_seconds,
            ready=lambda: state.status == READY,
        )

    def serve(self, model: LoadedModel, scheduler: Scheduler) -> None:
        """Answer with `model`, through `scheduler`, which has been started."""
        settings = self._settings
        self._metrics.loaded(
            model.seconds,
            model=settings.model_name,
            digest=model.digest,
            release=settings.release,
            replica=settings.replica,
        )
        self._pages.serve(model)
        self._service.serve(scheduler)

    def refresh(self) -> None:
        """Look whether the API keys changed; call it every now and then."""
        if self._keys is not None:
            self._keys.refresh()

    def stop(self) -> int:
        """Refuse what is unfinished and return how many requests were cut."""
        return self._service.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        exchange = Exchange(dict(scope["headers"]), receive)
        path = scope["path"]
        route = self._routes.get(path)
        error_code = None
        try:
            reply = await self._answer(route, scope["method"], exchange)
        except ApiError as error:
            error_code = error.code
            reply = exchange.refuse(error)
        except ClientGone:
            self._remember(exchange, route, path, CLIENT_GONE_STATUS, "client_gone")
            return
        except Exception:  # noqa: BLE001 - the outermost handler: every request gets an answer
            _log.exception("request failed", extra={"fields": {"request_id": exchange.request_id, "route": path}})
            error_code = "internal_error"
            message = "the server failed; its log has the details under this request id"
            reply = exchange.refuse(ApiError(500, error_code, message))
        self._remember(exchange, route, path, reply.status, error_code)
        await send_reply(reply, exchange, send, closing=self._state.status == DRAINING, more=reply.close)
        if reply.close:
            await discard_body(receive)
            await finish_reply(send)

    async def _answer(self, route: Route | None, method: str, exchange: Exchange) -> Reply:
        if self._keys is not None and not (route and route.open):
            exchange.key_name = self._keys.check(exchange.headers)
        if route is None:
            raise ApiError(404, "not_found", "no such path; GET /openapi.json lists what there is")
        if not route.takes(method):
            allow = "GET, HEAD" if route.method == "GET" else route.method
            raise ApiError(
                405, "wrong_method", f"this path takes {allow} only", headers=((b"allow", allow.encode()),)
            )
        return await route.handle(exchange)

    def _remember(
        self, exchange: Exchange, route: Route | None, path: str, status: int, error_code: str | None
    ) -> None:
        seconds = time.perf_counter() - exchange.began
        name = path if route else UNKNOWN_ROUTE
        self._metrics.answered(name, status, seconds)
        if exchange.run_seconds:
            self._metrics.queued(exchange.queue_seconds)
        if self._request_log is None or (route and not route.logged):
            return
        self._request_log.add(
            Row(
                time=time.time() - seconds,
                request_id=exchange.request_id,
                replica=self._settings.replica,
                release=self._settings.release,
                model=self._settings.model_name,
                key_name=exchange.key_name,
                route=name,
                status=status,
                texts=exchange.texts,
                tokens=exchange.tokens,
                queue_ms=round(exchange.queue_seconds * 1000, 3),
                run_ms=round(exchange.run_seconds * 1000, 3),
                total_ms=round(seconds * 1000, 3),
                error_code=error_code,
            )
        )
