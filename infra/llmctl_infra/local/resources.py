"""The resources of the local target, as a Pulumi program declares them.

Each class takes frozen Args whose fields are the inputs of the handler of the same name (`provider.handlers`); a
test holds the two together. Paths are absolute texts: `paths.StackPaths` knows where everything of a stack goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

import pulumi
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class KmsKeyArgs:
    """Args of `KmsKey`; see `kms_key.KmsKeyInputs`."""

    path: pulumi.Input[str]


@dataclass(frozen=True)
class ModelStoreArgs:
    """Args of `ModelStore`; see `model_store.ModelStoreInputs`."""

    path: pulumi.Input[str]
    kms_key_path: pulumi.Input[str]
    kms_key_id: pulumi.Input[str]


@dataclass(frozen=True)
class ModelArgs:
    """Args of `Model`; see `model.ModelInputs`."""

    store_path: pulumi.Input[str]
    kms_key_path: pulumi.Input[str]
    kms_key_id: pulumi.Input[str]
    name: pulumi.Input[str]
    source: pulumi.Input[str]
    digest: pulumi.Input[str]


@dataclass(frozen=True)
class RequestLogArgs:
    """Args of `RequestLog`; see `request_log.RequestLogInputs`."""

    path: pulumi.Input[str]
    retention_days: pulumi.Input[int] = 30


@dataclass(frozen=True)
class ApiKeyArgs:
    """Args of `ApiKey`; see `api_key.ApiKeyInputs`. The value is made a secret."""

    name: pulumi.Input[str]
    path: pulumi.Input[str]
    value: pulumi.Input[str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SupervisorArgs:
    """Args of `Supervisor`; see `supervisor.SupervisorInputs`."""

    root: pulumi.Input[str]
    project: pulumi.Input[str]
    stack: pulumi.Input[str]


@dataclass(frozen=True)
class ServedModelArgs:
    """The model of `ServersArgs`; see `server_inputs.ServedModel`."""

    name: pulumi.Input[str]
    object_path: pulumi.Input[str]
    digest: pulumi.Input[str]
    kms_key_path: pulumi.Input[str]


@dataclass(frozen=True)
class KnownKeyArgs:
    """An API key of `ServersArgs`; see `server_inputs.KnownKey`."""

    name: pulumi.Input[str]
    sha256: pulumi.Input[str]


@dataclass(frozen=True)
class ServersArgs:
    """Args of `Servers`; see `server_inputs.ServersInputs`. The environment is made a secret."""

    root: pulumi.Input[str]
    supervisor_socket: pulumi.Input[str]
    replicas: pulumi.Input[int]
    model: ServedModelArgs
    auth: pulumi.Input[bool] = True
    api_keys: Sequence[KnownKeyArgs] = ()
    request_log_path: pulumi.Input[str] | None = None
    settings: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict, repr=False)
    host: pulumi.Input[str] = "127.0.0.1"
    grace: pulumi.Input[float] = 30.0
    start_seconds: pulumi.Input[float] = 60.0
    log_max_bytes: pulumi.Input[int] = 10 << 20
    log_keep: pulumi.Input[int] = 3


@dataclass(frozen=True)
class AdmittedKeyArgs:
    """An API key of `GatewayArgs`; see `gateway_inputs.AdmittedKey`."""

    name: pulumi.Input[str]
    path: pulumi.Input[str]
    sha256: pulumi.Input[str]


@dataclass(frozen=True)
class LimitArgs:
    """A rate limit of `GatewayArgs`; see `gateway_inputs.Limit`."""

    key: pulumi.Input[str]
    rps: pulumi.Input[float]
    burst: pulumi.Input[int]


@dataclass(frozen=True)
class GatewayArgs:
    """Args of `Gateway`; see `gateway_inputs.GatewayInputs`."""

    root: pulumi.Input[str]
    supervisor_socket: pulumi.Input[str]
    endpoints_path: pulumi.Input[str]
    host: pulumi.Input[str] = "127.0.0.1"
    port: pulumi.Input[int] = 0
    auth: pulumi.Input[bool] = True
    api_keys: Sequence[AdmittedKeyArgs] = ()
    rate_limits: Sequence[LimitArgs] = ()
    timeout_seconds: pulumi.Input[float] = 30.0
    max_body_bytes: pulumi.Input[int] = 1 << 20
    retry_attempts: pulumi.Input[int] = 3
    max_connections: pulumi.Input[int] = 4096
    log_max_bytes: pulumi.Input[int] = 10 << 20
    log_keep: pulumi.Input[int] = 3


class _LocalResource(pulumi.CustomResource):
    """Declares a resource from its Args.

    Attributes:
        args_type: the type of its Args.
        outputs: names of the computed outputs.
        secrets: names of the inputs that are secret.
    """

    args_type: ClassVar[type]
    outputs: ClassVar[tuple[str, ...]] = ()
    secrets: ClassVar[frozenset[str]] = frozenset()

    drift: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        values = {each.name: _wire(getattr(args, each.name)) for each in fields(args)}
        inputs = {
            each: pulumi.Output.secret(value) if each in self.secrets else value
            for each, value in values.items()
            if value is not None
        }
        computed = dict.fromkeys((*self.outputs, "drift"))
        super().__init__(f"llmctl:local:{type(self).__name__}", name, {**computed, **inputs}, opts)

    def translate_input_property(self, prop: str) -> str:
        """The name on the wire. Keys of nested maps come here too, and stay as they are."""
        return to_camel(prop) if prop in self._own_names() else prop

    def translate_output_property(self, prop: str) -> str:
        """The name in Python."""
        return {to_camel(own): own for own in self._own_names()}.get(prop, prop)

    @classmethod
    def _own_names(cls) -> frozenset[str]:
        return frozenset({*(each.name for each in fields(cls.args_type)), *cls.outputs})


class KmsKey(_LocalResource):
    """The master key of a stack, in a private file."""

    args_type = KmsKeyArgs
    outputs = ("key_id",)

    path: pulumi.Output[str]
    key_id: pulumi.Output[str]


class ModelStore(_LocalResource):
    """The folder of the sealed models."""

    args_type = ModelStoreArgs

    path: pulumi.Output[str]


class Model(_LocalResource):
    """A model, sealed in the store."""

    args_type = ModelArgs
    outputs = ("object_path", "size_bytes")

    object_path: pulumi.Output[str]
    size_bytes: pulumi.Output[int]


class RequestLog(_LocalResource):
    """The SQLite file of the requests."""

    args_type = RequestLogArgs

    path: pulumi.Output[str]


class ApiKey(_LocalResource):
    """An API key, in a private file."""

    args_type = ApiKeyArgs
    outputs = ("key_id", "sha256")
    secrets = frozenset({"value"})

    path: pulumi.Output[str]
    key_id: pulumi.Output[str]
    sha256: pulumi.Output[str]


class Supervisor(_LocalResource):
    """The process that keeps the others alive."""

    args_type = SupervisorArgs
    outputs = ("socket_path",)

    socket_path: pulumi.Output[str]


class Servers(_LocalResource):
    """The model servers."""

    args_type = ServersArgs
    outputs = ("endpoints", "endpoints_path", "generation")
    secrets = frozenset({"environment"})

    endpoints: pulumi.Output[Sequence[Mapping[str, Any]]]
    endpoints_path: pulumi.Output[str]
    generation: pulumi.Output[int]


class Gateway(_LocalResource):
    """Envoy in front of the servers."""

    args_type = GatewayArgs
    outputs = ("url", "admin_path")

    url: pulumi.Output[str]
    port: pulumi.Output[int]
    admin_path: pulumi.Output[str]


def _wire(value: Any) -> Any:
    """The wire form of a value of Args."""
    if is_dataclass(value) and not isinstance(value, type):
        return {to_camel(each.name): _wire(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    return value
