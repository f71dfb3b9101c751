"""Serves an inline Pulumi program to the CLI, and takes the CLI's events.

The program runs in this process, in a thread of the gRPC server; the CLI reaches it by `--client=<address>`.
"""

# ruff: noqa: N802 - the names of the methods are the protocol's

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import events_pb2, events_pb2_grpc, language_pb2_grpc

from llmctl_stacks.engine.language import Language, Program

_WORKERS = 8  # the CLI keeps at most a handful of calls open: Run, StreamEvents, and short questions
_NO_PROXY = "no_grpc_proxy"
_BEGIN_PATIENCE = 0.2  # seconds for a stream to be noticed that the CLI opened just before it ended
_STREAM_PATIENCE = 5.0  # seconds for the last events to arrive after the CLI has ended


@dataclass
class ProgramServer:
    """What the CLI needs to know, and what came of it.

    Attributes:
        address: `127.0.0.1:<port>`.
        failure: what the program raised, or None.
        unheard: what the receiver of events raised first, or None.
        began: set when the CLI opens its stream of events; one that fails early never does.
        ended: set when the CLI has sent its last event.
    """

    address: str = ""
    failure: BaseException | None = None
    unheard: BaseException | None = None
    began: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def drain(self) -> None:
        """Wait until the last event of a CLI that has ended has arrived."""
        if self.began.wait(_BEGIN_PATIENCE):
            self.ended.wait(_STREAM_PATIENCE)


@contextmanager
def serve(program: Program, receive: Callable[[Mapping[str, Any]], None]) -> Iterator[ProgramServer]:
    """Serve `program` on the loopback interface, and hand every event of the CLI to `receive`, in order."""
    _bypass_proxies()
    state = ProgramServer()

    def report(error: BaseException) -> None:
        state.failure = error

    language = Language(program, report)
    server = grpc.server(ThreadPoolExecutor(_WORKERS, "program"), options=[("grpc.so_reuseport", 0)])
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(language, server)
    events_pb2_grpc.add_EventsServicer_to_server(_Events(state, receive), server)
    state.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield state
    finally:
        language.stop()
        server.stop(grace=None).wait()


class _Events(events_pb2_grpc.EventsServicer):
    def __init__(self, state: ProgramServer, receive: Callable[[Mapping[str, Any]], None]) -> None:
        self._state = state
        self._receive = receive

    def StreamEvents(
        self, request_iterator: Iterator[events_pb2.EventRequest], context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        del context
        self._state.began.set()
        try:
            for request in request_iterator:
                self._hand_over(request.event)
        finally:
            self._state.ended.set()
        return empty_pb2.Empty()

    def _hand_over(self, text: str) -> None:
        try:
            self._receive(json.loads(text))
        except Exception as error:  # noqa: BLE001 - the operation goes on; the caller learns of it afterwards
            self._state.unheard = self._state.unheard or error


def _bypass_proxies() -> None:
    """Keep gRPC from asking an HTTP proxy for the loopback interface, which it does unless told."""
    if _NO_PROXY not in os.environ:
        others = os.environ.get("no_proxy", "")
        os.environ[_NO_PROXY] = ",".join(filter(None, (others, "127.0.0.1", "localhost")))
