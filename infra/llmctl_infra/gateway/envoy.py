"""Envoy's configuration as files that it watches.

::

    bootstrap.json            read once: admin socket, connection limit, where the rest is
    listeners.json            LDS: the address (`listener`)
    routes.json               RDS: paths, weights, time-outs, retries (`routes`)
    filter-*.json             ECDS: keys, rate limits, body limit (`filters`)
    clusters.json             CDS: balancing, health checks (`clusters`)
    <backend's endpoints>     EDS, written by whoever runs the servers (`clusters.endpoints_document`)

Every file but the first is read again when a new one is renamed over it, without a restart and without
draining a connection. Rendering is pure: the same spec gives the same bytes.
"""

from __future__ import annotations

from llmctl_infra.gateway import filters
from llmctl_infra.gateway.clusters import clusters_document
from llmctl_infra.gateway.filters import filter_documents
from llmctl_infra.gateway.listener import ROUTES_FILE, listeners_document
from llmctl_infra.gateway.routes import ROUTES, routes_document
from llmctl_infra.gateway.spec import GatewaySpec
from llmctl_infra.gateway.xds import Document, extension, watched

BOOTSTRAP_FILE = "bootstrap.json"
LISTENERS_FILE = "listeners.json"
CLUSTERS_FILE = "clusters.json"


def documents(spec: GatewaySpec) -> dict[str, Document]:
    """Every file of the gateway by its name in `spec.folder`, in an order that is safe to write in.

    What is referred to comes before what refers to it.
    """
    return {
        CLUSTERS_FILE: clusters_document(spec),
        **filter_documents(spec),
        ROUTES_FILE: routes_document(spec),
        LISTENERS_FILE: listeners_document(spec),
        BOOTSTRAP_FILE: bootstrap(spec),
    }


def version_statistics() -> dict[str, str]:
    """For each file that Envoy watches, the statistic that tells which version of it is in force."""
    names = (filters.AUTH, filters.RATE_LIMIT, filters.BODY_LIMIT, filters.BUFFER)
    discovered = {
        filters.filter_file(name): f"extension_config_discovery.http_filter.{name}.version_text" for name in names
    }
    return {
        CLUSTERS_FILE: "cluster_manager.cds.version_text",
        LISTENERS_FILE: "listener_manager.lds.version_text",
        ROUTES_FILE: f"http.gateway.rds.{ROUTES}.version_text",
        **discovered,
    }


def bootstrap(spec: GatewaySpec) -> Document:
    """What Envoy reads when it starts; a change of it needs another process."""
    return {
        "node": {"id": "gateway", "cluster": "llmctl"},
        "admin": {
            "address": {"pipe": {"path": spec.admin_socket, "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "dynamic_resources": {
            "lds_config": watched(f"{spec.folder}/{LISTENERS_FILE}"),
            "cds_config": watched(f"{spec.folder}/{CLUSTERS_FILE}"),
        },
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=spec.max_connections,
                )
            ]
        },
    }
