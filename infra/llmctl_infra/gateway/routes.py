"""What may be asked for, and where it goes: paths, canary weights, time-outs, retries (RDS)."""

from __future__ import annotations

from llmctl_infra.gateway import filters
from llmctl_infra.gateway.clusters import PREVIOUS_HOSTS
from llmctl_infra.gateway.spec import GatewaySpec, Path
from llmctl_infra.gateway.xds import Document, any_of, discovery, duration

ROUTES = "routes"

_OFF = any_of("envoy.config.route.v3.FilterConfig", disabled=True)
_FREE = {filters.AUTH: _OFF, filters.RATE_LIMIT: _OFF}


def routes_document(spec: GatewaySpec) -> Document:
    """RDS: the one route table."""
    routes = [_route(path, spec) for path in spec.paths]
    unknown = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {**_FREE, filters.BODY_LIMIT: _OFF, filters.BUFFER: _OFF},
    }
    host = {"name": "api", "domains": ["*"], "routes": [*routes, unknown]}
    return discovery(any_of("envoy.config.route.v3.RouteConfiguration", name=ROUTES, virtual_hosts=[host]))


def _route(path: Path, spec: GatewaySpec) -> Document:
    match = {"prefix": path.match} if path.match.endswith("/") else {"path": path.match}
    action: Document = {
        **_destination(spec),
        "timeout": duration(spec.timeout_seconds),
        "retry_policy": _retries(spec),
    }
    route: Document = {
        "match": match,
        "route": action,
        # The body is kept for a retry, so the buffer must hold the largest one.
        "request_body_buffer_limit": spec.max_body_bytes,
    }
    return {**route, "typed_per_filter_config": _FREE} if path.public else route


def _destination(spec: GatewaySpec) -> Document:
    if len(spec.backends) == 1:
        return {"cluster": spec.backends[0].name}
    weights = [{"name": backend.name, "weight": backend.weight} for backend in spec.backends]
    return {"weighted_clusters": {"clusters": weights}}


def _retries(spec: GatewaySpec) -> Document:
    """Try elsewhere when a server went away, refuses or drains; never once an answer has begun."""
    if spec.retry_attempts == 0:
        return {"num_retries": 0}
    return {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
        "retriable_status_codes": [503],
        "num_retries": spec.retry_attempts,
        # A server that hangs must leave time for another one.
        "per_try_timeout": duration(spec.timeout_seconds / 2),
        "retry_back_off": {"base_interval": duration(0.025), "max_interval": duration(0.25)},
        "retry_host_predicate": [PREVIOUS_HOSTS],
        # A dead server has the fewest requests and would be picked again and again.
        "host_selection_retry_max_attempts": 20,
    }
