"""Programs that run although nobody means them to: what an interrupted update has left."""

from __future__ import annotations

from collections.abc import Collection

from llmctl_infra.local.paths import StackPaths
from llmctl_infra.local.supervisor_client import SupervisorClient


def strangers(paths: StackPaths, client: SupervisorClient, prefix: str, meant: Collection[str]) -> set[str]:
    """Names of the programs that begin with `prefix`, have a file or a process, and are not among `meant`.

    Raises:
        ResourceError: when the supervisor does not answer.
    """
    files = {path.stem for path in paths.programs.glob(f"{prefix}*.conf")}
    running = {name for name in client.processes() if name.startswith(prefix)}
    return (files | running) - set(meant)


def strangers_drift(
    paths: StackPaths, client: SupervisorClient, prefix: str, meant: Collection[str]
) -> tuple[str, ...]:
    """The same as sentences, for a resource's drift."""
    return tuple(
        f"{name} is left of an interrupted update" for name in sorted(strangers(paths, client, prefix, meant))
    )
