"""Running the application: one socket, one event loop, one model, and an end that loses nothing.

uvicorn stops listening at SIGTERM, so that a balancer learns of the end by refused connections. Here the
listener stays: probes and new work are answered 503 while accepted requests finish, and only then it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import resource
import socket
import time
from types import FrameType
from typing import TYPE_CHECKING, cast

import uvicorn

from llmctl_server.app import App
from llmctl_server.auth import KeyFile
from llmctl_server.errors import ExitCode, StartError
from llmctl_server.loaded import LoadedModel, load
from llmctl_server.metrics import Metrics
from llmctl_server.request_log import RequestLog
from llmctl_server.scheduler import Scheduler
from llmctl_server.settings import Settings
from llmctl_server.state import State

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Idle time after which a connection is closed: longer than balancers keep theirs, so that they close first."""

HEAD_SECONDS = 10.0
"""Time that a connection may take to send the head of a request."""

LOG_FLUSH_SECONDS = 2.0
_TICKS_OF_A_SECOND = 10
_REFRESH_TICKS = 5


def bind(host: str, port: int) -> socket.socket:
    """Take the address that the server will listen on.

    Raises:
        StartError: it is taken, not of this machine, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StartError(f"cannot listen on {host}:{port}: {reason}", exit_code=ExitCode.UNAVAILABLE) from error
    return listener


def run(settings: Settings, state: State) -> None:
    """Serve until a signal ends it.

    Raises:
        StartError: the address is taken, or the keys or the model cannot be used.
    """
    listener = bind(settings.host, settings.port)
    with contextlib.closing(listener):
        keys = KeyFile(settings.keys_file) if settings.keys_file else None
        metrics = Metrics()
        log = RequestLog(settings.request_log, metrics.log_dropped) if settings.request_log else None
        app = App(settings, state, keys=keys, request_log=log, metrics=metrics)
        _raise_file_limit()
        server = DrainingServer(app, settings, state, metrics)
        server.run(sockets=[listener])
        if log is not None:
            log.close(LOG_FLUSH_SECONDS)
    if server.failure is not None:
        raise server.failure
    _log.info("stopped", extra={"fields": {"cut_requests": server.cut}})


class DrainingServer(uvicorn.Server):
    """uvicorn with our start and end: it listens while the model loads, and drains before it closes.

    Attributes:
        failure: why the model could not be loaded, or None.
        cut: requests that were unfinished when the grace was over.
    """

    def __init__(self, app: App, settings: Settings, state: State, metrics: Metrics) -> None:
        """Configure uvicorn; nothing is opened."""
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
        )
        self.failure: StartError | None = None
        self.cut = 0
        self._app = app
        self._settings = settings
        self._state = state
        self._metrics = metrics
        self._silent: dict[HttpToolsProtocol, float] = {}
        self._loading: asyncio.Task[None] | None = None
        self._drain_told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to drain; a second signal ends the grace. Runs in a signal handler: it only sets fields."""
        self._state.drain()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then load the model in a thread."""
        await super().startup(sockets)
        self._loading = asyncio.get_running_loop().create_task(self._load())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer 503 to what is still unfinished, then close."""
        self.cut = self._app.stop()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done every now and then, ten times a second; True ends the server."""
        await super().on_tick(counter)
        if counter % _REFRESH_TICKS == 0:
            self._app.refresh()
        now = time.monotonic()
        if counter % _TICKS_OF_A_SECOND == 0:
            self._close_silent(now)
        if not self._drain_told and self._state.draining_since is not None:
            self._drain_told = True
            _log.info("draining", extra={"fields": {"in_flight": self._state.in_flight}})
        return self.failure is not None or self._state.drained(now)

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(None, load, self._settings, self._state)
        except StartError as error:
            self.failure = error
            return
        self._app.serve(model, self._scheduler(model, loop))
        # What lives now lives to the end: keep the collector from walking through it again and again.
        gc.collect()
        gc.freeze()
        self._state.ready()
        fields = {"port": self._port(), "seconds": self._state.ready_seconds, "digest": model.digest}
        _log.info(self._state.status, extra={"fields": fields})

    def _scheduler(self, model: LoadedModel, loop: asyncio.AbstractEventLoop) -> Scheduler:
        scheduler = Scheduler(
            model.engine,
            workers=model.threads,
            max_waiting=self._settings.max_queue,
            max_tokens=self._settings.max_tokens,
            observe=self._metrics.ran,
        )
        scheduler.start(loop)
        return scheduler

    def _port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def _close_silent(self, now: float) -> None:
        """Close connections that have not sent the head of a request for too long; uvicorn waits for ever.

        A connection is silent when no request of it is being answered and uvicorn's own clock for idle
        connections does not run: it was opened, or began a further request, and has not come to the point.
        """
        silent: dict[HttpToolsProtocol, float] = {}
        for connection in cast("set[HttpToolsProtocol]", self.server_state.connections):
            answered = connection.cycle is None or connection.cycle.response_complete
            if not answered or connection.timeout_keep_alive_task is not None:
                continue
            since = silent[connection] = self._silent.get(connection, now)
            if now - since > HEAD_SECONDS:
                connection.transport.close()
        self._silent = silent


def _raise_file_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
