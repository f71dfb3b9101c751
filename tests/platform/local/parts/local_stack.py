"""A whole local stack made by calling the handlers, without the engine."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from llmctl_image.bundle import bundle_digest, write_bundle
from llmctl_infra.local import processes
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.provider import handlers
from llmctl_infra.local.supervisor_client import RUNNING, SupervisorClient
from llmctl_infra.local.sweep import sweep
from llmctl_infra.local.waiting import wait_until
from llmctl_infra.names import stack_id
from llmctl_infra.provider.handler import Props

STANDIN = "standin_server"


class LocalStack:
    """Inputs and outputs of every resource, as the engine's state would hold them."""

    def __init__(self, folder: Path, server_module: str = STANDIN, bundle: Path | None = None) -> None:
        self.root = folder / "stacks" / "p" / "local"
        self.paths = StackPaths(self.root)
        self.stack_id = stack_id("p", "local", self.root)
        self.handlers = handlers(write_bundle, server_module)
        self.inputs: dict[str, dict[str, Any]] = {}
        self.outputs: dict[str, Props] = {}
        self.bundle = bundle or new_bundle(folder / "bundle")

    # -- the life cycle ------------------------------------------------------------------------------------

    def up(self, servers: Mapping[str, Any] | None = None, gateway: Mapping[str, Any] | None = None) -> None:
        """Create everything."""
        self.base()
        self.create("Supervisor", root=str(self.root), project="p", stack="local")
        self.create("Servers", **{**self.servers_inputs(), **(servers or {})})
        self.create("Gateway", **{**self.gateway_inputs(), **(gateway or {})})

    def base(self) -> None:
        """Create what `base` holds."""
        kms_path = str(self.paths.kms_key)
        self.create("KmsKey", path=kms_path)
        sealing = {"kmsKeyPath": kms_path, "kmsKeyId": self.outputs["KmsKey"]["keyId"]}
        self.create("ModelStore", path=str(self.paths.store), **sealing)
        source = {"name": "attention", "source": str(self.bundle), "digest": bundle_digest(self.bundle)}
        self.create("Model", storePath=str(self.paths.store), **sealing, **source)
        self.create("RequestLog", path=str(self.paths.request_log), retentionDays=7)
        self.create("ApiKey", name="default", path=str(self.paths.api_key("default")))

    def down(self) -> None:
        """Delete what `serve` holds."""
        for noun in ("Gateway", "Servers", "Supervisor"):
            self.delete(noun)

    def create(self, noun: str, **inputs: Any) -> Props:
        """Create one resource."""
        handler = self.handlers[f"llmctl:local:{noun}"]
        checked, failures = handler.check(inputs)
        assert failures == []
        _, outputs = handler.create(noun.lower(), checked)
        self.inputs[noun], self.outputs[noun] = dict(checked), {**checked, **outputs}
        return outputs

    def update(self, noun: str, **changes: Any) -> Props:
        """Update one resource in place."""
        inputs = {**self.inputs[noun], **changes}
        outputs = self.handlers[f"llmctl:local:{noun}"].update("id", self.outputs[noun], inputs)
        self.inputs[noun], self.outputs[noun] = inputs, {**inputs, **outputs}
        return outputs

    def read(self, noun: str) -> Props | None:
        """Outputs of one resource as they are now; None when it is gone."""
        found = self.handlers[f"llmctl:local:{noun}"].read("id", self.inputs[noun], self.outputs[noun])
        return None if found is None else found[1]

    def drift(self, noun: str) -> list[str]:
        """What a refresh would find wrong."""
        found = self.read(noun)
        assert found is not None
        return list(found["drift"])

    def delete(self, noun: str) -> None:
        """Delete one resource."""
        self.handlers[f"llmctl:local:{noun}"].delete("id", self.outputs[noun])

    def kill_everything(self) -> None:
        """End whatever a failed test has left."""
        sweep(self.stack_id, self.root, grace=0.1)

    # -- parts ---------------------------------------------------------------------------------------------

    def servers_inputs(self) -> dict[str, Any]:
        """Two servers with the first API key."""
        model = self.outputs["Model"]
        return {
            "root": str(self.root),
            "supervisorSocket": self.outputs["Supervisor"]["socketPath"],
            "replicas": 2,
            "model": {name: model[name] for name in ("name", "objectPath", "digest", "kmsKeyPath")},
            "apiKeys": [{"name": "default", "sha256": self.outputs["ApiKey"]["sha256"]}],
            "requestLogPath": str(self.paths.request_log),
            "grace": 5,
        }

    def gateway_inputs(self) -> dict[str, Any]:
        """A gateway on a port of its own choice, with the first API key."""
        key = self.outputs["ApiKey"]
        return {
            "root": str(self.root),
            "supervisorSocket": self.outputs["Supervisor"]["socketPath"],
            "endpointsPath": self.outputs["Servers"]["endpointsPath"],
            "apiKeys": [{"name": "default", "path": key["path"], "sha256": key["sha256"]}],
            "timeoutSeconds": 10,
        }

    @property
    def port(self) -> int:
        """Port of the gateway."""
        return int(self.outputs["Gateway"]["port"])

    @property
    def key(self) -> str:
        """The first API key."""
        return self.paths.api_key("default").read_text().strip()

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request to the gateway: status, headers with lower-case names, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            # Like curl and httpx: a server that refuses a body early may stop reading it, and has answered.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def classify(self, **headers: str) -> tuple[int, dict[str, Any]]:
        """One request with the first API key: status and answer."""
        status, _, body = self.ask("POST", "/v1/classify", {"x-api-key": self.key, **headers}, b"{}")
        return status, json.loads(body)

    def pid(self, program: str) -> int:
        """Number of a program's process."""
        return SupervisorClient(Path(self.outputs["Supervisor"]["socketPath"])).processes()[program].pid

    def kill(self, program: str) -> int:
        """Kill a program's process, once it counts as started; its number."""
        client = SupervisorClient(Path(self.outputs["Supervisor"]["socketPath"]))
        assert wait_until(lambda: client.processes()[program].state == RUNNING, 10)
        pid = self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    def processes(self) -> tuple[psutil.Process, ...]:
        """Every living process of the stack."""
        return processes.of_stack(self.stack_id)


def new_bundle(folder: Path) -> Path:
    """A bundle of 2.5 MB that no other one equals."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(os.urandom(2_500_000))
    (folder / "model_card.json").write_text('{"name": "attention"}')
    return folder
