"""The engine's provider protocol, translated to handler calls.

Answers the calls that the engine makes for resources of an attached provider (pulumi/pulumi,
`proto/pulumi/provider.proto`); the rest stays unimplemented, which the engine takes as "not supported".
"""

# ruff: noqa: N802, ARG002 - the names of the methods and their two arguments are the protocol's

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from llmctl_infra.errors import ResourceError
from llmctl_infra.provider.codec import Properties, decode, encode
from llmctl_infra.provider.diffs import diff_response
from llmctl_infra.provider.handler import Handler, PartialError, Props

_MASK = "[secret]"
_SHORTEST_MASKED = 4  # masking shorter values would garble messages and hide nothing
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Call:
    """One call of the engine.

    Attributes:
        method: name in the protocol; `Preview` for a create or an update that only asks what would happen.
        urn: the engine's name of the resource.
        started: `time.monotonic()` at its start.
        seconds: how long it took.
        failed: the masked message when it failed, else empty.
    """

    method: str
    urn: str
    started: float
    seconds: float
    failed: str = ""

    @property
    def name(self) -> str:
        """The logical name of the resource."""
        return _name(self.urn)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the handlers; see `host.ProviderHost` for the arguments and attributes."""

    def __init__(self, handlers: Mapping[str, Handler], version: str, cancelled: threading.Event | None) -> None:
        self.failures: dict[str, ResourceError] = {}
        self.journal: list[Call] = []
        self._handlers = handlers
        self._version = version
        self._cancelled = cancelled
        self._clear: set[str] = set()

    # -- the provider itself -------------------------------------------------------------------------------

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Ask for marked secrets, so that they can be masked here and marked again in the outputs."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Begin an operation."""
        if self._cancelled is not None:
            self._cancelled.clear()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Say the version."""
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Take the provider's configuration as it is; handlers have none."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Never replace resources because the provider's configuration changed."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Say once more what the handshake said."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Tell waiting handlers, where they asked for it; a running step is otherwise left to finish."""
        if self._cancelled is not None:
            self._cancelled.set()
        return empty_pb2.Empty()

    # -- its resources -------------------------------------------------------------------------------------

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Validate and complete inputs."""

        def answer() -> provider_pb2.CheckResponse:
            news = self._decode(request.news)
            inputs, failures = self._handler(request.urn).check(news.values)
            refused = [
                provider_pb2.CheckFailure(property=failure.property, reason=self._masked(failure.reason))
                for failure in failures
            ]
            return provider_pb2.CheckResponse(inputs=encode(inputs, news.secrets), failures=refused)

        return self._step("Check", request.urn, context, answer)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Compare recorded and wanted."""

        def answer() -> provider_pb2.DiffResponse:
            old, news = self._decode(request.old_inputs), self._decode(request.news)
            olds = self._decode(request.olds).values
            diff = self._handler(request.urn).diff(request.id, old.values, olds, news.values)
            # A value that became secret must be written again, or it would stay in the state in clear.
            changed = dict.fromkeys((*diff.changed, *sorted(old.secrets ^ news.secrets)))
            return diff_response(diff, tuple(changed), old.values, news.values)

        return self._step("Diff", request.urn, context, answer)

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Make a resource, or say what it would look like."""

        def answer() -> provider_pb2.CreateResponse:
            handler, news = self._handler(request.urn), self._decode(request.properties)
            if request.preview:
                planned = _outputs(handler, news, handler.preview(news.values, None))
                return provider_pb2.CreateResponse(properties=planned)
            try:
                made, outputs = handler.create(_name(request.urn), news.values)
            except PartialError as error:
                raise _InitFailedError(error, _outputs(handler, news, error.outputs)) from error
            return provider_pb2.CreateResponse(id=made, properties=_outputs(handler, news, outputs))

        return self._step("Preview" if request.preview else "Create", request.urn, context, answer)

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """Say what a resource is like now."""

        def answer() -> provider_pb2.ReadResponse:
            handler, recorded = self._handler(request.urn), self._decode(request.inputs)
            outputs = self._decode(request.properties).values
            found = handler.read(request.id, recorded.values, outputs)
            if found is None:
                return provider_pb2.ReadResponse()
            actual = Properties(dict(found[0]), recorded.secrets)
            return provider_pb2.ReadResponse(
                id=request.id,
                inputs=encode(actual.values, actual.secrets),
                properties=_outputs(handler, actual, found[1]),
            )

        return self._step("Read", request.urn, context, answer)

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Bring a resource to new inputs, or say what it would look like."""

        def answer() -> provider_pb2.UpdateResponse:
            handler, news = self._handler(request.urn), self._decode(request.news)
            olds = self._decode(request.olds).values
            if request.preview:
                planned = _outputs(handler, news, handler.preview(news.values, olds))
                return provider_pb2.UpdateResponse(properties=planned)
            try:
                outputs = handler.update(request.id, olds, news.values)
            except PartialError as error:
                raise _InitFailedError(error, _outputs(handler, news, error.outputs)) from error
            return provider_pb2.UpdateResponse(properties=_outputs(handler, news, outputs))

        return self._step("Preview" if request.preview else "Update", request.urn, context, answer)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove a resource."""

        def answer() -> empty_pb2.Empty:
            self._handler(request.urn).delete(request.id, self._decode(request.properties).values)
            return empty_pb2.Empty()

        return self._step("Delete", request.urn, context, answer)

    # -- parts ---------------------------------------------------------------------------------------------

    def _handler(self, urn: str) -> Handler:
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        if token not in self._handlers:
            raise ResourceError(
                f"no provider serves resources of type {token}",
                fix="run the version of llmctl that made this stack, or a newer one",
            )
        return self._handlers[token]

    def _decode(self, struct: struct_pb2.Struct) -> Properties:
        properties = decode(struct)
        self._clear.update(value for value in properties.clear if len(value) >= _SHORTEST_MASKED)
        return properties

    def _step(
        self, method: str, urn: str, context: grpc.ServicerContext, answer: Callable[[], _Answer]
    ) -> _Answer:
        """Run one call, journal it, and turn what it raises into a one-line status for the engine."""
        started = time.monotonic()
        partial: _InitFailedError | None = None
        try:
            result = answer()
        except ResourceError as error:
            # Not UNKNOWN or INTERNAL: for these the engine warns that the state may be corrupt.
            code, failure = grpc.StatusCode.FAILED_PRECONDITION, error
        except _InitFailedError as error:
            code, failure, partial = grpc.StatusCode.UNKNOWN, error.error, error
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must reach the user, masked
            code = grpc.StatusCode.INTERNAL
            failure = ResourceError(f"{method} failed: {type(error).__name__}", str(error))
        else:
            if method not in ("Check", "Diff", "Preview"):
                self.failures.pop(urn, None)
            self.journal.append(Call(method, urn, started, time.monotonic() - started))
            return result
        masked = self.failures[urn] = self._mask(failure)
        line = " ".join(str(masked).split())
        self.journal.append(Call(method, urn, started, time.monotonic() - started, line))
        return _refuse(context, code, line, partial)

    def _masked(self, text: str) -> str:
        for value in sorted(self._clear, key=len, reverse=True):
            text = text.replace(value, _MASK)
        return text

    def _mask(self, error: ResourceError) -> ResourceError:
        evidence = tuple(self._masked(line) for line in error.evidence)
        return ResourceError(self._masked(error.what), self._masked(error.why), self._masked(error.fix), evidence)


class _InitFailedError(Exception):
    """A resource that exists but failed, with its properties ready for the wire."""

    def __init__(self, error: PartialError, properties: struct_pb2.Struct) -> None:
        super().__init__(str(error))
        self.error = error
        self.properties = properties


def _name(urn: str) -> str:
    return urn.split("::", 3)[-1]


def _outputs(handler: Handler, inputs: Properties, computed: Props) -> struct_pb2.Struct:
    return encode({**inputs.values, **computed}, inputs.secrets | handler.secret_outputs)


def _refuse(
    context: grpc.ServicerContext, code: grpc.StatusCode, line: str, partial: _InitFailedError | None
) -> NoReturn:
    if partial is not None:
        status = status_pb2.Status(code=code.value[0], message=line)
        detail = provider_pb2.ErrorResourceInitFailed(
            id=partial.error.resource_id, properties=partial.properties, reasons=[line]
        )
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, line)
