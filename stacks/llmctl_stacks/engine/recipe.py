"""How the Pulumi CLI is built: the Go module that ships with llmctl, and the flags."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

VERSION: Final = "3.259.0"
"""Of the CLI; the Pulumi SDK is pinned to the same."""

MODULE: Final = Path(__file__).parent / "pulumi_module"
"""Folder with `go.mod` and `go.sum`: a main module of our own, since Pulumi's has `replace` directives."""

GO: Final = (1, 26)
"""The oldest Go that can build the module (its `go` line)."""

PACKAGE: Final = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

FLAGS: Final = (
    "-trimpath",
    "-tags",
    "osusergo,grpcnotrace",
    "-ldflags",
    # Without the version linked in, `pulumi version` prints an empty line.
    f"-w -s -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}",
)

ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}

SECONDS: Final = 330
"""How long a build takes on two cores when nothing is cached."""


def key() -> str:
    """Changes whenever the module or the flags do: 12 hex digits."""
    digest = hashlib.sha256()
    for part in ((MODULE / "go.mod").read_bytes(), (MODULE / "go.sum").read_bytes(), "\0".join(FLAGS).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
