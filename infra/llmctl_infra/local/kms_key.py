"""The master key of a stack: a private file that stands for a key of a key management service."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.base import DRIFT, Inputs, LocalHandler, Observed
from llmctl_infra.local.files import mode_drift, remove, remove_if_empty, write_private
from llmctl_infra.local.kms_file import load_kms_key
from llmctl_infra.local.sealed import KEY_BYTES, key_id


class KmsKeyInputs(Inputs):
    """Inputs of `llmctl:local:KmsKey`.

    Attributes:
        path: of the key file, mode 0600.
    """

    path: Path


class KmsKey(LocalHandler[KmsKeyInputs]):
    """Makes the key once and never shows it. A lost key is made anew; what it sealed must be sealed again."""

    inputs = KmsKeyInputs
    computed = frozenset({"keyId", DRIFT})
    stable = frozenset({"keyId"})
    replace_on = frozenset({"path"})

    def identity(self, inputs: KmsKeyInputs) -> str:
        """The path of the key file."""
        return str(inputs.path)

    def converge(self, inputs: KmsKeyInputs) -> dict[str, Any]:
        """Make the key unless there is one; put a damaged one aside."""
        if inputs.path.exists():
            try:
                key = load_kms_key(inputs.path)
            except ResourceError:
                inputs.path.rename(inputs.path.with_name(f"{inputs.path.name}.damaged"))
            else:
                inputs.path.chmod(0o600)
                return {"keyId": key_id(key)}
        key = os.urandom(KEY_BYTES)
        write_private(inputs.path, base64.b64encode(key) + b"\n")
        return {"keyId": key_id(key)}

    def observe(self, inputs: KmsKeyInputs) -> Observed | None:
        """The id of the key that is there."""
        if not inputs.path.exists():
            return None
        try:
            found = key_id(load_kms_key(inputs.path))
        except ResourceError as error:
            return Observed({"keyId": ""}, (str(error),))
        return Observed({"keyId": found}, mode_drift(inputs.path))

    def remove(self, inputs: KmsKeyInputs) -> None:
        """Forget the key: what it sealed can never be read again."""
        remove(inputs.path)
        remove_if_empty(inputs.path.parent)
