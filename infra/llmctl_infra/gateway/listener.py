"""The door: one listener, its connection manager, and the access log (LDS).

Nothing here depends on keys, limits, weights or servers: those are files of their own, so that the listener,
whose change would drain connections, stays as it is until its address changes.
"""

from __future__ import annotations

from llmctl_infra.gateway.filters import CLIENT_HEADER, filter_references
from llmctl_infra.gateway.replies import local_replies
from llmctl_infra.gateway.routes import ROUTES
from llmctl_infra.gateway.spec import GatewaySpec
from llmctl_infra.gateway.xds import Document, any_of, discovery, duration, extension, watched

ROUTES_FILE = "routes.json"

ACCESS_LOG_FIELDS: dict[str, str] = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client": f"%REQ({CLIENT_HEADER})%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "bytes": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}
"""Fields of a line of the access log. No header that can hold a key, no query, no body."""


def listeners_document(spec: GatewaySpec) -> Document:
    """LDS: the one listener. Its name holds its address, so that another address is another listener."""
    manager = extension(
        "http",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_manager(spec),
    )
    return discovery(
        any_of(
            "envoy.config.listener.v3.Listener",
            name=f"gateway-{spec.host}-{spec.port}",
            address={"socket_address": {"address": spec.host, "port_value": spec.port}},
            per_connection_buffer_limit_bytes=1 << 20,
            filter_chains=[{"filters": [manager]}],
        )
    )


def _manager(spec: GatewaySpec) -> Document:
    router = extension("router", "envoy.extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    return {
        "stat_prefix": "gateway",
        "rds": {"route_config_name": ROUTES, "config_source": watched(f"{spec.folder}/{ROUTES_FILE}")},
        "http_filters": [*filter_references(spec.folder), router],
        "access_log": [_access_log()],
        "local_reply_config": local_replies(),
        "early_header_mutation_extensions": [_no_forged_headers()],
        "server_name": "llmctl",
        # A client's own request id is kept, so that its logs and ours can be joined; else one is made.
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": duration(300),
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "request_headers_timeout": duration(10),
        "request_timeout": duration(60),
        "stream_idle_timeout": duration(300),
    }


def _no_forged_headers() -> Document:
    """Drop what only the gateway may say, before any filter trusts it.

    That is the client's name, and Envoy's own control headers (retries, time-outs), which it would take from
    every caller on a private network.
    """
    return extension(
        "no_forged_headers",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[
            {"remove": CLIENT_HEADER},
            {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}},
        ],
    )


def _access_log() -> Document:
    return extension(
        "access_log",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": ACCESS_LOG_FIELDS},
    )
