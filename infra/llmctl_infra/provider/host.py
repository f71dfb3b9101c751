"""A gRPC server that serves handlers to the Pulumi engine.

The engine attaches to it when `PULUMI_DEBUG_PROVIDERS=<package>:<port>` is in the CLI's environment. It
listens on the loopback interface only and lives as long as the `with` block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.handler import Handler, Props
from llmctl_infra.provider.servicer import Call, Servicer

_OPTIONS = [("grpc.max_receive_message_length", 400 * 2**20), ("grpc.so_reuseport", 0)]


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class _Threads(Executor):
    """A thread for each call, none of which keeps the process from ending when the user stops it at once."""

    def submit(
        self, fn: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        future: Future[_Result] = Future()
        threading.Thread(target=self._run, args=(future, fn, args, kwargs), name="provider", daemon=True).start()
        return future

    @staticmethod
    def _run(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks for the result
            future.set_exception(error)


class ProviderHost:
    """Serves `handlers` under the package name `package` while the context is open.

    Args:
        handlers: the handler of each type token, such as `llmctl:local:Gateway`.
        package: the first part of the type tokens.
        version: what the provider says its version is; semantic versioning.
        cancelled: set when the user interrupts an operation, cleared when the next one attaches. Hand the
            same event to handlers that wait, so that they give up early; without it a running step always
            finishes. (The engine also cancels at the end of every operation, when no step is running.)
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        package: str = "llmctl",
        version: str = "1.0.0",
        cancelled: threading.Event | None = None,
    ) -> None:
        self.package = package
        self._handlers = dict(handlers)
        self._servicer = Servicer(self._handlers, version, cancelled)
        self._server: grpc.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """Loopback port on which the engine attaches; 0 outside the `with` block."""
        return self._port

    @property
    def failures(self) -> dict[str, ResourceError]:
        """Why the last step of a resource failed, by URN; secrets are masked."""
        return self._servicer.failures

    @property
    def journal(self) -> list[Call]:
        """Every call of the engine so far, in order of their start. Holds no property values."""
        return self._servicer.journal

    def find(self, type_token: str, inputs: Props) -> tuple[str, Props] | None:
        """Ask the handler of `type_token` whether the resource with `inputs` already exists.

        Raises:
            KeyError: when no handler serves the type.
            ResourceError: when the handler cannot tell.
        """
        return self._handlers[type_token].find(inputs)

    def __enter__(self) -> Self:
        # The stubs ask for a thread pool; gRPC itself for an executor.
        self._server = grpc.server(cast("Any", _Threads()), options=_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self._servicer, self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.stop(grace=1.0).wait()
        self._server, self._port = None, 0
