"""What a gateway must do, independent of where it runs.

`envoy.documents` renders a `GatewaySpec` into Envoy's files. Everything here is plain data; nothing is read or
written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ANY_CLIENT = "*"
ANONYMOUS = "anonymous"
SERVERS = "servers"
"""Name of the backend that gets all the traffic when there is no canary."""


@dataclass(frozen=True)
class Client:
    """One API key that may enter.

    Attributes:
        name: how the client is called in logs and rate limits.
        key: the API key in clear; Envoy compares keys, not hashes.
    """

    name: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class RateLimit:
    """How much one client may ask for; every client has a bucket of its own.

    Attributes:
        client: the API key's name; `*` stands for each client that has no limit by name.
        rps: requests per second in the long run.
        burst: requests at once after a pause.
    """

    client: str
    rps: float
    burst: int


@dataclass(frozen=True)
class Backend:
    """A group of servers that share traffic.

    Attributes:
        name: of the Envoy cluster and of its endpoints.
        endpoints: path, as Envoy sees it, of the endpoints file (`clusters.endpoints_document`).
        weight: share of the traffic among all backends.
    """

    name: str
    endpoints: str
    weight: int = 100


@dataclass(frozen=True)
class Path:
    """A path of the API that the gateway lets through; everything else is answered with 404.

    Attributes:
        match: the path; one that ends with `/` admits everything below it.
        public: whether it needs no API key and no rate limit.
    """

    match: str
    public: bool = False


API_PATHS = (
    Path("/v1/"),
    Path("/info"),
    Path("/openapi.json"),
    Path("/readyz", public=True),
    Path("/livez", public=True),
)
"""The server's paths that clients may use. Metrics stay inside: behind a balancer they name no server."""


@dataclass(frozen=True)
class GatewaySpec:
    """Everything about a gateway.

    Attributes:
        host: address to listen on.
        port: port to listen on.
        folder: folder, as Envoy sees it, that holds the rendered files.
        admin_socket: path of the Unix socket of the admin interface.
        backends: where requests go; the weights make a canary.
        auth: whether an API key is needed.
        clients: the API keys, when `auth`.
        rate_limits: limits by client; none means no limit.
        timeout_seconds: time for a whole request, retries included.
        max_body_bytes: largest request body.
        retry_attempts: further tries of a request that no server has begun to answer.
        max_connections: most client connections at once, all listeners together.
        paths: what may be asked for.
        probe_path: path that answers 200 when a server is ready.
    """

    host: str
    port: int
    folder: str
    admin_socket: str
    backends: tuple[Backend, ...]
    auth: bool = True
    clients: tuple[Client, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    timeout_seconds: float = 30.0
    max_body_bytes: int = 1 << 20
    retry_attempts: int = 3
    max_connections: int = 4096
    paths: tuple[Path, ...] = API_PATHS
    probe_path: str = "/readyz"
