"""Finds the Pulumi CLI, of exactly the version that the Pulumi SDK in use was made with.

A newer SDK against an older CLI, or the reverse, plans wrong replacements without a word; hence "exactly".
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from llmctl_stacks.engine.recipe import VERSION, key
from llmctl_stacks.errors import EngineMissing
from llmctl_stacks.home import Home

Origin: TypeAlias = Literal["LLMCTL_PULUMI", "managed", "PATH"]

_VERSION_SECONDS = 30.0
_ASKED: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class EngineBinary:
    """A usable Pulumi CLI.

    Attributes:
        path: absolute path of the executable.
        version: what it says its version is, without `v`.
        origin: where it was found.
    """

    path: Path
    version: str
    origin: Origin


def managed_path(home: Home) -> Path:
    """Where the managed copy of the CLI is, or would be; another recipe has another path."""
    return home.engine / f"{VERSION}-{key()}" / "bin" / "pulumi"


def find_cli(home: Home, environ: Mapping[str, str] | None = None) -> EngineBinary:
    """The CLI to use: `LLMCTL_PULUMI`, else the managed copy, else the one on `PATH`.

    Args:
        home: holds the managed copy.
        environ: variables; `os.environ` when None.

    Raises:
        EngineMissing: when there is none of the right version; says what was found, and how to get one.
    """
    given = os.environ if environ is None else environ
    if chosen := given.get("LLMCTL_PULUMI"):
        return _chosen(Path(chosen).expanduser().absolute())
    managed = managed_path(home)
    if managed.exists():  # it was asked for its version before it was put there
        return EngineBinary(managed, VERSION, "managed")
    found = shutil.which("pulumi", path=given.get("PATH", os.defpath))
    if found is None:
        raise missing("there is none on PATH")
    version = version_of(Path(found))
    if version != VERSION:
        raise missing(f"{found} is {version or 'not a Pulumi CLI'}")
    return EngineBinary(Path(found).absolute(), version, "PATH")


def version_of(cli: Path) -> str:
    """What the CLI says its version is, without `v`; empty when it cannot say."""
    try:
        stat = cli.stat()
        identity = (str(cli), stat.st_mtime_ns, stat.st_size)
        if identity not in _ASKED:
            said = subprocess.run(
                [cli, "version"],
                env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
                capture_output=True,
                text=True,
                timeout=_VERSION_SECONDS,
                check=False,
            ).stdout
            found = re.fullmatch(r"v?(\d+\.\d+\.\d+\S*)", said.strip())
            _ASKED[identity] = found.group(1) if found else ""
        return _ASKED[identity]
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""


def missing(*reasons: str) -> EngineMissing:
    """The error that says why there is no CLI, and the three ways to get one."""
    return EngineMissing(
        f"no Pulumi CLI {VERSION} to be had",
        "\n".join(reasons),
        "one of: let this machine reach https://get.pulumi.com and run `llmctl doctor --fix`; "
        "install Go 1.26 or newer with a module proxy and run `llmctl doctor --fix`; "
        f"set LLMCTL_PULUMI to a `pulumi` {VERSION} that you have",
    )


def _chosen(path: Path) -> EngineBinary:
    version = version_of(path)
    if version != VERSION:
        what = f"is version {version}" if version else "cannot be run" if path.exists() else "does not exist"
        raise EngineMissing(
            f"LLMCTL_PULUMI names {path}, which {what}",
            f"llmctl works with Pulumi {VERSION} only",
            "point LLMCTL_PULUMI at it, or unset it and let llmctl find or install one",
        )
    return EngineBinary(path, version, "LLMCTL_PULUMI")
