"""The files that a server is started from, as pure functions of the inputs and the replica."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from llmctl_infra.local.files import content_drift
from llmctl_infra.local.fleet import Replica
from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.programs import Program, program_text
from llmctl_infra.local.server_inputs import ServersInputs
from llmctl_infra.local.supervisor import module_path
from llmctl_infra.local.worker import Launch
from llmctl_infra.names import short_hash

_FORCE_SECONDS = 5.0  # what a server gets to end by itself after its grace
_DRAIN_DELAY = "0.5"  # the gateway is told before a server is, so a short one is enough
_DRAIN_DELAY_VARIABLE = "LLMCTL_DRAIN_DELAY"


def fingerprint(inputs: ServersInputs, module: str) -> str:
    """Hash of everything a server is started with, but for its name and port.

    Servers with another fingerprint must be replaced.
    """
    nobody = Replica("", inputs.host, 0, "")
    return short_hash(launch_text(inputs, module, nobody) + program(inputs, module, nobody))


def launch_text(inputs: ServersInputs, module: str, replica: Replica) -> str:
    """The private file that `worker` reads."""
    paths, model = StackPaths(inputs.root), inputs.model
    ours = {
        "LLMCTL_HOST": replica.host,
        "LLMCTL_PORT": str(replica.port),
        "LLMCTL_REPLICA": replica.name,
        "LLMCTL_MODEL_NAME": model.name,
        "LLMCTL_MODEL_DIGEST": model.digest,
        "LLMCTL_GRACE": f"{inputs.grace:g}",
        **({"LLMCTL_KEYS_FILE": str(keys_path(paths))} if inputs.auth else {}),
        **({"LLMCTL_REQUEST_LOG": str(inputs.request_log_path)} if inputs.request_log_path else {}),
    }
    return Launch(
        module=module,
        model=model.name,
        object_path=str(model.object_path),
        digest=model.digest,
        kms_key_path=str(model.kms_key_path),
        environment={_DRAIN_DELAY_VARIABLE: _DRAIN_DELAY, **inputs.settings, **inputs.environment, **ours},
    ).text()


def program(inputs: ServersInputs, module: str, replica: Replica) -> str:
    """What the supervisor is told about a server."""
    paths = StackPaths(inputs.root)
    file = launch_path(paths, replica.name)
    return program_text(
        Program(
            name=replica.name,
            command=(sys.executable, "-P", "-m", "llmctl_infra.local.worker", str(file)),
            folder=paths.servers,
            stdout=paths.logs / f"{replica.name}.log",
            stderr=None,
            stop_seconds=stop_seconds(inputs),
            log_max_bytes=inputs.log_max_bytes,
            log_keep=inputs.log_keep,
            environment={"PYTHONPATH": module_path("llmctl_infra", module), "PYTHONUNBUFFERED": "1"},
        )
    )


def stop_seconds(inputs: ServersInputs) -> float:
    """Time after which a server that was told to stop is ended by force."""
    return inputs.grace + float(inputs.settings.get(_DRAIN_DELAY_VARIABLE, _DRAIN_DELAY)) + _FORCE_SECONDS


def launch_path(paths: StackPaths, name: str) -> Path:
    """Where the private file of a server is."""
    return paths.servers / "environment" / f"{name}.json"


def program_path(paths: StackPaths, name: str) -> Path:
    """Where the supervisor's file of a program is."""
    return paths.programs / f"{name}.conf"


def keys_path(paths: StackPaths) -> Path:
    """Where the hashes of the API keys are."""
    return paths.servers / "keys.json"


def keys_text(inputs: ServersInputs) -> str:
    """The file of key hashes that the servers watch."""
    keys = [{"name": key.name, "sha256": key.sha256} for key in inputs.api_keys]
    return json.dumps({"keys": keys}, indent=1) + "\n"


def replica_drift(inputs: ServersInputs, module: str, replica: Replica) -> tuple[str, ...]:
    """How the files of a server differ from what it should have been started from."""
    paths = StackPaths(inputs.root)
    if replica.fingerprint != fingerprint(inputs, module):
        return (f"{replica.name} runs with other settings",)
    return (
        *content_drift(launch_path(paths, replica.name), launch_text(inputs, module, replica)),
        *content_drift(program_path(paths, replica.name), program(inputs, module, replica)),
    )
