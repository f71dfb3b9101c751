"""Asking a running Envoy: what it has read, which servers it thinks healthy, and telling it to drain."""

from __future__ import annotations

import http.client
import json
from typing import Any

from llmctl_infra.local.unix_http import UnixConnection

_TIMEOUT = 5.0


class Admin:
    """The admin interface behind a Unix socket. Constructing it touches nothing.

    Args:
        socket: its path.
    """

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def is_ready(self) -> bool:
        """Whether Envoy has read everything and accepts connections."""
        return self._ask("GET", "/ready") == b"LIVE\n"

    def listens(self, host: str, port: int) -> bool:
        """Whether it listens there itself; it lives on without its port when another process holds that."""
        answer = self._ask("GET", "/listeners?format=json")
        found = json.loads(answer).get("listener_statuses", []) if answer else []
        wanted = {"socket_address": {"address": host, "port_value": port}}
        return any(each["local_address"] == wanted for each in found)

    def versions(self) -> dict[str, str]:
        """Version of each configuration that is in force, by the name of its statistic; empty when it is down."""
        return {name: str(value) for name, value in self._stats("version_text$", "TextReadouts").items()}

    def rejections(self) -> int:
        """How many configurations it has refused so far."""
        return sum(int(value) for value in self._stats("update_rejected$", "Counters").values())

    def active(self) -> tuple[int, int]:
        """Client connections that are open, and requests that are under way; none when it is down."""
        found = self._stats("^http.gateway.downstream_(cx|rq)_active$", "Gauges")
        return int(found.get(f"{_DOWNSTREAM}_cx_active", 0)), int(found.get(f"{_DOWNSTREAM}_rq_active", 0))

    def hosts(self, cluster: str) -> dict[tuple[str, int], bool]:
        """Every server of a cluster and whether it gets requests; empty when Envoy is down."""
        answer = self._ask("GET", "/clusters?format=json")
        clusters = json.loads(answer)["cluster_statuses"] if answer else []
        return {
            (host["address"]["socket_address"]["address"], host["address"]["socket_address"]["port_value"]): (
                host["health_status"] == {"eds_health_status": "HEALTHY"}
            )
            for each in clusters
            if each["name"] == cluster
            for host in each.get("host_statuses", [])
        }

    def drain(self) -> None:
        """Accept no further connection, and close each one after the answer that is under way."""
        self._ask("POST", "/healthcheck/fail")
        self._ask("POST", "/drain_listeners")

    def _stats(self, pattern: str, kind: str) -> dict[str, Any]:
        answer = self._ask("GET", f"/stats?format=json&type={kind}&filter={pattern}")
        stats = json.loads(answer)["stats"] if answer else []
        return {each["name"]: each["value"] for each in stats if "name" in each}

    def _ask(self, method: str, path: str) -> bytes:
        """The answer's body; empty when there is no good one."""
        connection = UnixConnection(self.socket, _TIMEOUT)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            connection.close()
        return body if answer.status == http.client.OK else b""


_DOWNSTREAM = "http.gateway.downstream"
