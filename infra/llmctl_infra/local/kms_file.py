"""Reading the master key; apart from its handler, so that a worker starts without what the handler needs."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.sealed import KEY_BYTES


def load_kms_key(path: Path) -> bytes:
    """The 32 bytes of a master key.

    Raises:
        ResourceError: when the file is missing or does not hold one.
    """
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise ResourceError(
            f"cannot read the KMS key {path}", error.strerror or str(error), "run `llmctl up`"
        ) from error
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ResourceError(
            f"the KMS key {path} is damaged",
            f"it does not hold {KEY_BYTES} bytes in base64",
            "restore the file, or run `llmctl up` to make a new key and seal the models again",
        )
    return key
