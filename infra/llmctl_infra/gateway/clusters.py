"""The servers behind the gateway: balancing, health, ejection, circuit breakers, endpoints."""

from __future__ import annotations

from collections.abc import Iterable

from llmctl_infra.gateway.spec import Backend, GatewaySpec
from llmctl_infra.gateway.xds import Document, any_of, discovery, duration, extension, watched

_PLENTY = 1 << 20  # limits of connections and requests belong to the listener and the servers


def clusters_document(spec: GatewaySpec) -> Document:
    """CDS: one cluster per backend."""
    return discovery(*(_cluster(backend, spec) for backend in spec.backends))


def endpoints_document(name: str, addresses: Iterable[tuple[str, int]]) -> Document:
    """EDS of one backend: the host and port of every server that may get requests."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        for host, port in sorted(addresses)
    ]
    return discovery(
        any_of(
            "envoy.config.endpoint.v3.ClusterLoadAssignment",
            cluster_name=name,
            endpoints=[{"lb_endpoints": endpoints}],
        )
    )


def _cluster(backend: Backend, spec: GatewaySpec) -> Document:
    return any_of(
        "envoy.config.cluster.v3.Cluster",
        name=backend.name,
        type="EDS",
        eds_cluster_config={"service_name": backend.name, "eds_config": watched(backend.endpoints)},
        connect_timeout=duration(1),
        lb_policy="LEAST_REQUEST",
        # A server that is taken out of the endpoints file gets no more requests, healthy or not.
        ignore_health_on_host_removal=True,
        # When not one server is healthy, try them all: slow answers beat none.
        common_lb_config={"healthy_panic_threshold": {"value": 1}},
        health_checks=[_health_check(spec.probe_path)],
        outlier_detection=_OUTLIERS,
        circuit_breakers={"thresholds": [_BREAKERS]},
        typed_extension_protocol_options=_HTTP,
    )


def _health_check(path: str) -> Document:
    return {
        "timeout": duration(2),
        "interval": duration(1),
        "no_traffic_interval": duration(1),
        "unhealthy_interval": duration(0.25),
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": path, "host": "gateway"},
    }


_OUTLIERS: Document = {
    "interval": duration(1),
    "base_ejection_time": duration(2),
    "max_ejection_time": duration(30),
    "max_ejection_percent": 50,
    "consecutive_5xx": 5,
    "consecutive_gateway_failure": 3,
    "enforcing_consecutive_gateway_failure": 100,
    # Comparing success rates needs more servers than one machine runs.
    "enforcing_success_rate": 0,
}

_BREAKERS: Document = {
    "max_connections": _PLENTY,
    "max_pending_requests": _PLENTY,
    "max_requests": _PLENTY,
    # A crash hits every request that the server holds, so all of them may have to be tried again at once.
    "retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": 256},
}

_HTTP: Document = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": any_of(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http_protocol_options": {}},
        # Below the 5 s after which common Python servers close an idle connection, so that no request
        # meets a connection that is just going away.
        common_http_protocol_options={"idle_timeout": duration(3)},
    )
}

PREVIOUS_HOSTS: Document = extension(
    "envoy.retry_host_predicates.previous_hosts",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
)
"""Retry predicate: not the server that has just failed."""
