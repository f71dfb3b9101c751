"""The small pieces that every Envoy document is made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

_PREFIX = "type.googleapis.com/"


def any_of(kind: str, **fields: Any) -> Document:
    """A message that names its own type, such as `envoy.config.cluster.v3.Cluster`."""
    return {"@type": _PREFIX + kind, **fields}


def extension(name: str, kind: str, **fields: Any) -> Document:
    """A configured extension."""
    return {"name": name, "typed_config": any_of(kind, **fields)}


def duration(seconds: float) -> str:
    """A protobuf duration; microseconds are fine enough for a gateway."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def watched(path: str) -> Document:
    """A configuration source: a file that Envoy reads again when something is renamed into its folder."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": path, "watched_directory": {"path": str(PurePosixPath(path).parent)}},
    }


def discovery(*resources: Document) -> Document:
    """A discovery response whose version is a digest of its content.

    Envoy reports the version that it runs, so that a caller can wait until it has taken a file.
    """
    body = json.dumps(resources, sort_keys=True).encode()
    return {"version_info": hashlib.sha256(body).hexdigest()[:16], "resources": list(resources)}


def text(document: Document) -> str:
    """The document as it is written to a file."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
