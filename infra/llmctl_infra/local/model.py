"""A model in the store: its bundle's tar, sealed under a name that holds its digest.

An object is never changed. Another digest makes another object, and the newest few stay: servers that are still
running the old model may have to start again from it, and a rollback finds it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from llmctl_infra.errors import ResourceError
from llmctl_infra.local import sealed
from llmctl_infra.local.base import DRIFT, Inputs, LocalHandler, Observed
from llmctl_infra.local.files import mode_drift, remove, replacing, write_private
from llmctl_infra.local.kms_file import load_kms_key
from llmctl_infra.provider.codec import has_unknown
from llmctl_infra.provider.handler import Props

_KEPT = 3  # the current object and two earlier ones


class Writer(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


Pack = Callable[[Path, Writer], None]
"""Writes the deterministic tar of a bundle's folder."""


class ModelInputs(Inputs):
    """Inputs of `llmctl:local:Model`.

    Attributes:
        store_path: folder of the store.
        kms_key_path: file of the master key.
        kms_key_id: fingerprint of the master key.
        name: of the model.
        source: folder of the bundle.
        digest: `sha256:` and the hex digest of the bundle's tar.
    """

    store_path: Path
    kms_key_path: Path
    kms_key_id: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    source: Path
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Model(LocalHandler[ModelInputs]):
    """Seals bundles.

    Args:
        pack: writes a bundle's tar.
    """

    inputs = ModelInputs
    computed = frozenset({"objectPath", "sizeBytes", DRIFT})
    replace_on = frozenset({"storePath", "name"})

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def identity(self, inputs: ModelInputs) -> str:
        """The folder of the model's objects."""
        return str(_folder(inputs))

    def preview(self, news: Props, old_outputs: Props | None) -> Props:
        """The path follows from the inputs, so that a preview can show it to the servers."""
        store, name, digest = (news.get(each) for each in ("storePath", "name", "digest"))
        known = not has_unknown([store, name, digest])
        path = {"objectPath": str(_object_path(Path(str(store)), str(name), str(digest)))} if known else {}
        return {**super().preview(news, old_outputs), **path}

    def converge(self, inputs: ModelInputs) -> dict[str, Any]:
        """Seal the bundle unless a whole object of it is there."""
        path, key = object_path(inputs), load_kms_key(inputs.kms_key_path)
        if not self._is_whole(inputs, key):
            self._seal(inputs, key)
        path.chmod(0o600)
        write_private(_record_path(path), json.dumps({**_stamp(path), "sha256": _file_digest(path)}) + "\n")
        _prune(_folder(inputs), path)
        return _outputs(path)

    def observe(self, inputs: ModelInputs) -> Observed | None:
        """Whether the object is there, whole as far as a cheap look can tell, and sealed with the right key."""
        path = object_path(inputs)
        if not path.exists():
            return None
        return Observed(_outputs(path), _damage(inputs, path) + mode_drift(path))

    def remove(self, inputs: ModelInputs) -> None:
        """Remove all objects of the model."""
        remove(_folder(inputs))

    def _is_whole(self, inputs: ModelInputs, key: bytes) -> bool:
        try:
            sealed.unseal(object_path(inputs), inputs.name, key, inputs.digest, lambda _: None)
        except (sealed.DamagedError, sealed.WrongKeyError):
            return False
        return True

    def _seal(self, inputs: ModelInputs, key: bytes) -> None:
        with replacing(object_path(inputs)) as file:
            with sealed.Sealer(file, inputs.name, key) as sealer:
                self._pack(inputs.source, sealer)
            found = f"sha256:{sealer.digest.hexdigest()}"
            if found != inputs.digest:
                raise ResourceError(
                    f"the model {inputs.name} is not what was asked for",
                    f"{inputs.source} has the digest {found}, not {inputs.digest}",
                    "the bundle changed after its digest was taken: run the command again",
                )


def object_path(inputs: ModelInputs) -> Path:
    """Where the object of this digest is."""
    return _object_path(inputs.store_path, inputs.name, inputs.digest)


def _object_path(store: Path, name: str, digest: str) -> Path:
    return store / "models" / name / f"{digest.removeprefix('sha256:')[:32]}.sealed"


def _folder(inputs: ModelInputs) -> Path:
    return object_path(inputs).parent


def _record_path(path: Path) -> Path:
    """Beside an object: its digest and what its file looked like when that was taken."""
    return path.with_suffix(".json")


def _outputs(path: Path) -> dict[str, Any]:
    return {"objectPath": str(path), "sizeBytes": path.stat().st_size}


def _stamp(path: Path) -> dict[str, int]:
    """What changes with every write to a file; the change time cannot be set back."""
    found = path.stat()
    return {"size": found.st_size, "mtime": found.st_mtime_ns, "ctime": found.st_ctime_ns, "inode": found.st_ino}


def _damage(inputs: ModelInputs, path: Path) -> tuple[str, ...]:
    """What is wrong with an object. Its bytes are read only when the file looks touched."""
    try:
        sealed_by = sealed.sealed_with(path)
        record = json.loads(_record_path(path).read_text())
    except sealed.DamagedError as error:
        return (str(error),)
    except (OSError, ValueError):
        return (f"the record of {path} is missing or damaged",)
    if sealed_by != inputs.kms_key_id:
        return (f"the object {path} is sealed with the KMS key {sealed_by}, not {inputs.kms_key_id}",)
    touched = any(record.get(name) != value for name, value in _stamp(path).items())
    if touched and record.get("sha256") != _file_digest(path):
        return (f"the object {path} is damaged: its bytes have changed",)
    return ()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prune(folder: Path, current: Path) -> None:
    """Remove all but the newest objects, never the current one."""
    others = sorted(
        (path for path in folder.glob("*.sealed") if path != current),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    for path in others[_KEPT - 1 :]:
        remove(path)
        remove(_record_path(path))
