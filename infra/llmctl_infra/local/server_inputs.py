"""What the model servers are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llmctl_infra.local.base import Inputs

Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class ServedModel(Inputs):
    """The sealed model that the servers open.

    Attributes:
        name: that it was sealed under, and that requests use.
        object_path: of the sealed object.
        digest: of the bundle's tar.
        kms_key_path: file of the master key.
    """

    name: str
    object_path: Path
    digest: str
    kms_key_path: Path


class KnownKey(Inputs):
    """An API key as the servers know it.

    Attributes:
        name: of the client.
        sha256: hash of the key.
    """

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ServersInputs(Inputs):
    """Inputs of `llmctl:local:Servers`.

    Attributes:
        root: folder of the stack.
        supervisor_socket: of the stack's supervisor.
        replicas: how many servers.
        model: what they serve.
        auth: whether they ask for an API key.
        api_keys: the keys that they accept; a change needs no restart.
        request_log_path: SQLite file that they write to.
        settings: environment variables of the server.
        environment: further variables, secret.
        host: address that they listen on.
        grace: seconds that a request may take after its server was told to stop.
        start_seconds: time for a server to become ready.
        log_max_bytes: size at which a server's log is rotated.
        log_keep: rotated logs to keep of each server.
    """

    root: Path
    supervisor_socket: Path
    replicas: int = Field(ge=1, le=256)
    model: ServedModel
    auth: bool = True
    api_keys: tuple[KnownKey, ...] = ()
    request_log_path: Path | None = None
    settings: dict[Variable, str] = Field(default_factory=dict)
    environment: dict[Variable, str] = Field(default_factory=dict, repr=False)
    host: str = "127.0.0.1"
    grace: float = Field(default=30.0, ge=0, le=3600)
    start_seconds: float = Field(default=60.0, gt=0, le=3600)
    log_max_bytes: int = Field(default=10 << 20, ge=1 << 16)
    log_keep: int = Field(default=3, ge=0, le=100)
