"""The local target's side of every verb."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmctl_image.bundle import BUILTIN_SCHEME, BundleError, builtin, bundle_digest, read_card
from llmctl_infra.errors import ResourceError
from llmctl_infra.local import ports
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.status import ProcessStatus, stack_status
from llmctl_infra.local.sweep import leftovers, sweep
from llmctl_infra.names import stack_id
from llmctl_stacks.config import resolve
from llmctl_stacks.errors import PreflightError
from llmctl_stacks.results import Endpoint, LogLine, ReplicaStatus, ResourceChange, Risk
from llmctl_stacks.targets.local.logs import read
from llmctl_stacks.targets.target import Attached, LogQuery, Program

if TYPE_CHECKING:
    from llmctl_stacks.lifecycle.context import Context
    from llmctl_stacks.targets.local.plan import Plan

FIRST_PATH = "/v1/classify"
FIRST_BODY = json.dumps({"text": "a warm, funny and beautifully acted film"})

_STATES = {"running": "starting", "starting": "starting", "stopping": "draining", "stopped": "stopped"}


class LocalTarget:
    """A stack on this machine.

    Args:
        context: which stack.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._paths = StackPaths(context.folder)
        self._id = stack_id(context.project, context.stack, context.folder)

    @cached_property
    def plan(self) -> Plan:
        """What the stack is made of.

        Raises:
            ConfigError: when a secret or a variable is not set.
            PreflightError: when the model's bundle cannot be used.
        """
        from llmctl_stacks.targets.local.plan import Plan

        secrets = resolve(self._context.loaded)
        try:
            bundle = self._bundle(secrets.config.models[0].source)
            read_card(bundle)
            digest = bundle_digest(bundle)
        except BundleError as error:
            raise PreflightError(error.what, error.why, error.fix) from error
        return Plan(self._context.stack, secrets.config, secrets, self._paths, bundle, digest)

    def preflight(self) -> None:
        """References, bundle and port, before anything is changed."""
        gateway = self.plan.config.gateway
        try:
            free = gateway.port == "auto" or ports.is_free(gateway.host, gateway.port)
            if not free and not self._ours(int(gateway.port)):
                raise PreflightError(
                    f"port {gateway.port} is taken",
                    f"by {ports.holder(int(gateway.port))}",
                    "stop that process, or set `gateway.port: auto`",
                )
        except ResourceError as error:
            raise PreflightError(error.what, error.why, error.fix) from error

    def attach(self) -> AbstractContextManager[Attached]:
        """Serve `llmctl:local:*` to the engine."""
        from llmctl_stacks.targets.local.attached import local_provider

        return local_provider()

    def program(self, layer: str, recorded: Mapping[str, Any]) -> Program:
        """What the layer consists of. What does not run the program does not need the plan."""

        def declare() -> None:
            if layer == "base":
                self.plan.base()
            else:
                self.plan.serve(recorded.get("base", {}))

        return declare

    def risks(self, changes: tuple[ResourceChange, ...]) -> tuple[Risk, ...]:
        """What `changes` mean for requests in flight."""
        kinds = {(change.type.rsplit(":", 1)[-1], change.operation): change for change in changes}
        return tuple(Risk(change.name, text) for key, change in kinds.items() if (text := _RISKS.get(key)))

    def endpoint(self, recorded: Mapping[str, Any]) -> Endpoint | None:
        """Where the gateway listens."""
        url, base = recorded.get("serve", {}).get("url"), recorded.get("base", {})
        if not url:
            return None
        keys = base.get("api_keys") or []
        return Endpoint(
            url=url,
            model=base.get("model", {}).get("name", ""),
            key_path=keys[0]["path"] if keys else None,
            path=FIRST_PATH,
            body=FIRST_BODY,
        )

    def replicas(self) -> tuple[ReplicaStatus, ...]:
        """Supervisor, servers and gateway."""
        return tuple(_replica(process) for process in stack_status(self._paths.root))

    def logs(self, query: LogQuery) -> Iterator[LogLine]:
        """Lines of the logs of the processes, or rows of the request log."""
        return read(self._paths, query)

    def sweep(self, *, all_layers: bool) -> tuple[str, ...]:
        """End processes of the stack that nothing records; with all layers also remove its logs."""
        ended = sweep(self._id, self._paths.root)
        if all_layers:
            shutil.rmtree(self._paths.logs, ignore_errors=True)
            with suppress(OSError):  # whatever else is in there is named as left over, or not ours
                self._paths.root.rmdir()
        return ended

    def leftovers(self, recorded: Mapping[str, Any], *, all_layers: bool) -> tuple[str, ...]:
        """Processes, ports and sockets of `serve`; with all layers also files of `base`."""
        files = tuple(str(path) for path in self._files()) if all_layers else ()
        return (*leftovers(self._id, self._paths.root, _addresses(recorded.get("serve", {}))), *files)

    def _files(self) -> Iterator[Path]:
        paths = self._paths
        return (path for path in (paths.kms_key, paths.store, paths.request_log) if path.exists())

    def _bundle(self, source: str) -> Path:
        if source.startswith(BUILTIN_SCHEME):
            return builtin(source)
        return self._context.loaded.path("models[0].source", source)

    def _ours(self, port: int) -> bool:
        return any(
            process.component == "gateway" and process.address.endswith(f":{port}")
            for process in stack_status(self._paths.root)
        )


_RISKS = {
    ("Servers", "update"): (
        "servers are replaced one after the other: a new one is ready before an old one drains, "
        "so one more than `scaling.replicas` runs for a moment; no request is refused"
    ),
    ("Servers", "replace"): "all servers stop before new ones start: requests are refused meanwhile",
    ("Gateway", "update"): "the gateway reads its new settings while it runs; no connection is cut",
    ("Gateway", "replace"): "the gateway stops before a new one starts: requests are refused meanwhile",
    ("Supervisor", "update"): "servers and gateway are started again if the supervisor does not run",
    ("Supervisor", "replace"): "every process stops before new ones start: requests are refused meanwhile",
    ("ApiKey", "delete"): "clients that use this API key are refused from then on",
    ("ApiKey", "replace"): "clients that use the former API key are refused from then on",
    ("KmsKey", "replace"): "the model is sealed again with the new key",
    ("RequestLog", "delete"): "the recorded requests are deleted",
}


def _addresses(serve: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Where the gateway and the servers listened, from the outputs of `serve`."""
    found = [(each["host"], int(each["port"])) for each in serve.get("endpoints", ())]
    if url := serve.get("url"):
        parts = urlsplit(url)
        found.append((parts.hostname or "", parts.port or 80))
    return found


def _replica(process: ProcessStatus) -> ReplicaStatus:
    ready = process.ready
    return ReplicaStatus(
        component=process.component,
        name=process.name,
        state="ready" if ready else _STATES.get(process.state, "crashed"),
        pid=process.pid,
        address=process.address or None,
        uptime_seconds=None if process.uptime_seconds is None else round(process.uptime_seconds, 1),
        restarts=process.restarts,
        reason="" if ready else "\n".join((*((process.detail,) if process.detail else ()), *process.log)),
    )
