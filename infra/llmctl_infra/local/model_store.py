"""The folder that holds sealed models, and the key that seals them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmctl_infra.local.base import Inputs, LocalHandler, Observed
from llmctl_infra.local.files import (
    PRIVATE_FOLDER,
    content_drift,
    mode_drift,
    private_folder,
    remove,
    write_if_changed,
)

_RECORD = "store.json"


class ModelStoreInputs(Inputs):
    """Inputs of `llmctl:local:ModelStore`.

    Attributes:
        path: of the folder, mode 0700.
        kms_key_path: file of the master key.
        kms_key_id: fingerprint of the master key.
    """

    path: Path
    kms_key_path: Path
    kms_key_id: str


class ModelStore(LocalHandler[ModelStoreInputs]):
    """Keeps the folder; the objects in it belong to the models."""

    inputs = ModelStoreInputs
    replace_on = frozenset({"path"})

    def identity(self, inputs: ModelStoreInputs) -> str:
        """The path of the folder."""
        return str(inputs.path)

    def converge(self, inputs: ModelStoreInputs) -> dict[str, Any]:
        """Make the folder and note which key seals what is in it."""
        private_folder(inputs.path)
        write_if_changed(inputs.path / _RECORD, _record(inputs))
        return {}

    def observe(self, inputs: ModelStoreInputs) -> Observed | None:
        """Nothing, unless the folder says that it is a store."""
        if not (inputs.path / _RECORD).exists():
            return None
        edited = content_drift(inputs.path / _RECORD, _record(inputs))
        return Observed({}, edited + mode_drift(inputs.path, PRIVATE_FOLDER))

    def remove(self, inputs: ModelStoreInputs) -> None:
        """Remove the folder with all that is in it, if it is a store."""
        if (inputs.path / _RECORD).exists():
            remove(inputs.path)


def _record(inputs: ModelStoreInputs) -> str:
    record = {"kms_key_path": str(inputs.kms_key_path), "kms_key_id": inputs.kms_key_id}
    return json.dumps(record, indent=1) + "\n"
