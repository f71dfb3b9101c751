"""A model bundle on its way into memory: read once, verified, never written.

A bundle is a folder with `model.onnx`, `tokenizer.json` and `model_card.json`, or the tar of one. Its digest is
the SHA-256 of the deterministic tar: names sorted, time, owner and group 0, mode 0644, hidden files left out.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llmctl_server.errors import StartError

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "model_card.json"


@dataclass(frozen=True)
class Bundle:
    """The files of a verified bundle.

    Attributes:
        model: the ONNX model's bytes.
        tokenizer: the `tokenizers` file's bytes.
        card: the model card.
        digest: `sha256:` and the hex digest of the deterministic tar.
    """

    model: bytes
    tokenizer: bytes
    card: Mapping[str, Any]
    digest: str


def read_bundle(path: Path | None, descriptor: int | None, expected: str | None) -> Bundle:
    """Read a bundle and check its digest before anything in it is interpreted.

    Args:
        path: folder or tar; None when `descriptor` is given.
        descriptor: open file with the tar, at any position; it is closed.
        expected: digest that the tar must have, or None.

    Raises:
        StartError: the bundle is missing, unreadable, incomplete, or not the expected one.
    """
    place = str(path) if path is not None else f"file descriptor {descriptor}"
    try:
        if path is not None and path.is_dir():
            tar = _pack(path)
        elif path is not None:
            tar = path.read_bytes()
        else:
            assert descriptor is not None
            tar = _drain(descriptor)
    except OSError as error:
        raise StartError(f"cannot read the model from {place}: {error.strerror or error}") from error
    digest = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    if expected is not None and digest != expected:
        raise StartError(f"the model in {place} is {digest}, but LLMCTL_MODEL_DIGEST asks for {expected}")
    return _open(tar, place, digest)


def _open(tar: bytes, place: str, digest: str) -> Bundle:
    import orjson

    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            files = {
                member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile() and member.name in (MODEL_FILE, TOKENIZER_FILE, CARD_FILE)
            }
    except (tarfile.TarError, EOFError) as error:
        raise StartError(f"the model in {place} is not a tar: {error}") from error
    if missing := [name for name in (MODEL_FILE, TOKENIZER_FILE, CARD_FILE) if name not in files]:
        raise StartError(f"the model in {place} has no {' and no '.join(missing)}")
    try:
        card = orjson.loads(files[CARD_FILE])
    except orjson.JSONDecodeError as error:
        raise StartError(f"{CARD_FILE} in {place} is not JSON: {error}") from error
    if not isinstance(card, dict):
        raise StartError(f"{CARD_FILE} in {place} is not a JSON object")
    return Bundle(files[MODEL_FILE], files[TOKENIZER_FILE], card, digest)


def _drain(descriptor: int) -> bytes:
    """Read a descriptor from its start and close it, so that the system can forget an unlinked file."""
    with os.fdopen(descriptor, "rb") as file:
        if file.seekable():
            file.seek(0)
        return file.read()


def _pack(folder: Path) -> bytes:
    """The deterministic tar of a folder: what a store would hold and name by its digest."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for name in names:
            if any(part.startswith(".") for part in PurePosixPath(name).parts):
                continue
            path = folder / name
            if path.is_symlink():
                raise StartError(f"{path} is a link: a bundle holds plain files")
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as source:
                archive.addfile(member, source)
    return buffer.getvalue()
