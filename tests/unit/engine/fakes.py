"""Small programs that stand in for `pulumi` and `go`."""

from __future__ import annotations

import sys
from pathlib import Path

PULUMI = "if sys.argv[1:] == ['version']: print('v{version}')\n"


def script(path: Path, body: str) -> Path:
    """An executable Python program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -ISE\nimport json, os, signal, sys, time\n{body}\n")
    path.chmod(0o755)
    return path


def pulumi(path: Path, version: str) -> Path:
    """A CLI that knows its version."""
    return script(path, PULUMI.format(version=version))


def go(path: Path, build: str, version: str = "go1.26.3") -> Path:
    """A toolchain of `version` that runs the Python text `build` with the wanted file in `out`."""
    lines = "\n".join(f"    {line}" for line in build.splitlines())
    return script(
        path,
        "if sys.argv[1:] == ['env', 'GOVERSION']:\n"
        f"    print({version!r})\n"
        "else:\n"
        "    out = sys.argv[sys.argv.index('-o') + 1]\n"
        f"{lines}",
    )
