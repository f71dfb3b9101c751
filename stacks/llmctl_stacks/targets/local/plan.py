"""What a local stack is made of, from its configuration: the only module that knows both.

`base` holds what must survive: the KMS key, the store with the sealed model, the request log, the API keys.
`serve` holds what answers: the supervisor, the servers, the gateway. It takes from the outputs of `base` only what
is not known beforehand; where `base` was never updated (in a first preview) that is unknown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.output import UNKNOWN as _UNKNOWN

from llmctl_infra.local import resources
from llmctl_infra.local.paths import StackPaths
from llmctl_stacks.config import Secrets, StackConfig

UNKNOWN: Any = _UNKNOWN
"""Stands for a value that only an update will tell; the type checker takes it for any input."""


@dataclass(frozen=True)
class Plan:
    """Everything that the programs of a local stack need, looked up and checked.

    Attributes:
        stack: name of the stack.
        config: every reference resolved, except the secrets.
        secrets: those.
        paths: where the stack's files go.
        bundle: folder of the model's bundle.
        digest: of its tar.
    """

    stack: str
    config: StackConfig
    secrets: Secrets
    paths: StackPaths
    bundle: Path
    digest: str

    def base(self) -> None:
        """Declare what must survive."""
        paths, model = self.paths, self.config.models[0]
        key = resources.KmsKey("kms-key", resources.KmsKeyArgs(str(paths.kms_key)))
        store = resources.ModelStore(
            "model-store", resources.ModelStoreArgs(str(paths.store), str(paths.kms_key), key.key_id)
        )
        sealed = resources.Model(
            model.name,
            resources.ModelArgs(
                store_path=store.path,
                kms_key_path=str(paths.kms_key),
                kms_key_id=key.key_id,
                name=model.name,
                source=str(self.bundle),
                digest=self.digest,
            ),
        )
        if (log := self.config.observability.request_log).enabled:
            days = round(log.retention.days)
            resources.RequestLog("request-log", resources.RequestLogArgs(str(paths.request_log), days))
        pulumi.export("kms_key_id", key.key_id)
        pulumi.export("model", {"name": model.name, "digest": self.digest, "object_path": sealed.object_path})
        pulumi.export("api_keys", self._api_keys())
        pulumi.export("tags", dict(self.config.tags))

    def serve(self, base: Mapping[str, Any]) -> None:
        """Declare what answers.

        Args:
            base: outputs of `base`; empty when it was never updated.
        """
        root, auth = str(self.paths.root), self.config.gateway.auth == "api_key"
        hashes = {key["name"]: key["sha256"] for key in base.get("api_keys", ())} if auth else {}
        names = [key.name for key in self.config.gateway.api_keys] if auth else []
        supervisor = resources.Supervisor(
            "supervisor", resources.SupervisorArgs(root, self.config.name, self.stack)
        )
        servers = resources.Servers("servers", self._servers(supervisor.socket_path, names, hashes, base))
        gateway = resources.Gateway("gateway", self._gateway(supervisor.socket_path, servers, names, hashes))
        pulumi.export("url", gateway.url)
        pulumi.export("endpoints", servers.endpoints)

    def _api_keys(self) -> list[dict[str, Any]]:
        if self.config.gateway.auth == "none":
            return []
        given = self.secrets.api_keys()
        made = []
        for name in (key.name for key in self.config.gateway.api_keys):
            path = str(self.paths.api_key(name))
            key = resources.ApiKey(f"api-key-{name}", resources.ApiKeyArgs(name, path, given.get(name)))
            made.append({"name": name, "path": path, "sha256": key.sha256})
        return made

    def _servers(
        self, socket: pulumi.Output[str], names: list[str], hashes: Mapping[str, str], base: Mapping[str, Any]
    ) -> resources.ServersArgs:
        config, paths, logs = self.config, self.paths, self.config.observability.logs
        recorded = base.get("model", {})
        same = recorded.get("digest") == self.digest and recorded.get("name") == config.models[0].name
        return resources.ServersArgs(
            root=str(paths.root),
            supervisor_socket=socket,
            replicas=config.scaling.replicas,
            model=resources.ServedModelArgs(
                name=config.models[0].name,
                object_path=recorded["object_path"] if same else UNKNOWN,
                digest=self.digest,
                kms_key_path=str(paths.kms_key),
            ),
            auth=config.gateway.auth == "api_key",
            api_keys=[resources.KnownKeyArgs(name, hashes.get(name, UNKNOWN)) for name in names],
            request_log_path=str(paths.request_log) if config.observability.request_log.enabled else None,
            settings=server_settings(config),
            environment=self.secrets.environment(),
            grace=config.server.grace.seconds,
            log_max_bytes=logs.max_size.bytes,
            log_keep=logs.keep,
        )

    def _gateway(
        self,
        socket: pulumi.Output[str],
        servers: resources.Servers,
        names: list[str],
        hashes: Mapping[str, str],
    ) -> resources.GatewayArgs:
        gateway, logs = self.config.gateway, self.config.observability.logs
        keys = [
            resources.AdmittedKeyArgs(name, str(self.paths.api_key(name)), hashes.get(name, UNKNOWN))
            for name in names
        ]
        return resources.GatewayArgs(
            root=str(self.paths.root),
            supervisor_socket=socket,
            endpoints_path=servers.endpoints_path,
            host=gateway.host,
            port=0 if gateway.port == "auto" else gateway.port,
            auth=gateway.auth == "api_key",
            api_keys=keys,
            rate_limits=[resources.LimitArgs(limit.key, limit.rps, limit.tokens) for limit in gateway.rate_limits],
            timeout_seconds=gateway.timeout.seconds,
            max_body_bytes=gateway.max_body.bytes,
            retry_attempts=gateway.retries.attempts,
            log_max_bytes=logs.max_size.bytes,
            log_keep=logs.keep,
        )


def server_settings(config: StackConfig) -> dict[str, str]:
    """The environment of a server, as far as it follows from the configuration alone."""
    server = config.server
    threads = (
        max(1, usable_processors() // config.scaling.replicas) if server.threads == "auto" else server.threads
    )
    return {
        "LLMCTL_THREADS": str(threads),
        "LLMCTL_MAX_BODY_BYTES": str(config.gateway.max_body.bytes),
        "LLMCTL_MAX_TOKENS": str(config.models[0].max_tokens),
        "LLMCTL_MAX_QUEUE": str(server.max_queue),
        "LLMCTL_MAX_TEXTS": str(server.max_texts),
        "LLMCTL_DRAIN_DELAY": f"{server.drain_delay.seconds:g}",
        "LLMCTL_LOG_LEVEL": server.log_level,
    }


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
