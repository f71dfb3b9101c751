"""The folder from which the CLI is run for one Pulumi stack, and the environment that it gets.

The folder is kept: `Pulumi.<stack>.yaml` holds the salt without which the secrets in the state cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from llmctl_stacks.engine.spec import StackSpec
from llmctl_stacks.home import Home

_DROPPED = ("PULUMI_", "LLMCTL_", "GRPC_")
_HISTORY_KEPT = 20  # updates of which the backend keeps its two files each; it never removes any itself


def open_workspace(home: Home, spec: StackSpec) -> Path:
    """The work folder of the stack, with `Pulumi.yaml` in it; private to the user."""
    folder = home.work(spec.pulumi_project, spec.stack)
    for private in (home.state, home.pulumi, folder):
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
    project = folder / "Pulumi.yaml"
    # The language is never looked up: the program runs in this process (`--client`).
    wanted = f"name: {spec.pulumi_project}\nruntime: python\nmain: .\n"
    if not project.exists() or project.read_text() != wanted:
        project.touch(mode=0o600)
        project.write_text(wanted)
    return folder


def engine_environment(
    home: Home, providers: Mapping[str, int], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Variables for the CLI: the caller's, without those that would change what the engine does.

    Args:
        home: where state and plugins are.
        providers: port of each attached provider by its package name.
        environ: the caller's environment; `os.environ` when None.
    """
    given = os.environ if environ is None else environ
    kept = {name: value for name, value in given.items() if not name.startswith(_DROPPED)}
    attached = ",".join(f"{package}:{port}" for package, port in sorted(providers.items()))
    return {
        **kept,
        "PULUMI_HOME": str(home.pulumi),
        "PULUMI_BACKEND_URL": f"file://{home.state}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": home.passphrase(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",  # the history holds the same
        "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "16",
        "PULUMI_DEBUG_COMMANDS": "true",  # makes `--event-log` known
        "PULUMI_AUTOMATION_API": "true",
        **({"PULUMI_DEBUG_PROVIDERS": attached} if attached else {}),
    }


def prune_history(home: Home, spec: StackSpec) -> None:
    """Remove the oldest entries of the backend's history, which otherwise grows with every update."""
    folder = home.state / ".pulumi" / "history" / spec.pulumi_project / spec.stack
    # `<stack>-<nanoseconds>.history.json` and `.checkpoint.json`: names sort by age.
    entries = sorted(folder.glob(f"{spec.stack}-*.history.json*")) if folder.is_dir() else []
    for entry in entries[:-_HISTORY_KEPT]:
        entry.with_name(entry.name.replace(".history.", ".checkpoint.")).unlink(missing_ok=True)
        entry.unlink(missing_ok=True)
