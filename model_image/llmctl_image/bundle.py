"""Model bundles: a folder that holds one model, and the digest that names its bytes.

A bundle is a folder with `model.onnx`, `tokenizer.json` and `model_card.json` (and a `README.md` for people).
What is stored, sealed and served is its tar. The tar is written without anything that differs between two
machines (order, times, owners, modes), so its digest is the identity of the model.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

BUILTIN_SCHEME = "builtin://"
CARD_FILE = "model_card.json"
DIGEST_PREFIX = "sha256:"

_PACKAGE = Path(__file__).resolve().parent
# The wheel carries the bundles inside this package; a checkout keeps them one folder up, beside the packages.
_BUILTIN_FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")


class BundleError(Exception):
    """Raised when a folder is not a usable bundle.

    Attributes:
        what: what failed, one line.
        why: the cause.
        fix: what to do next.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.fix = fix


class Writer(Protocol):
    """Anything that takes bytes: a file, a socket, a hash in disguise."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


def bundle_digest(folder: Path) -> str:
    """Name the bytes of a bundle.

    Args:
        folder: the bundle's folder.

    Returns:
        `sha256:` and the hex digest of the tar that `write_bundle` writes.

    Raises:
        BundleError: the folder is missing or empty, or holds something that is not a plain file.
    """
    digest = _Digest()
    write_bundle(folder, digest)
    return f"{DIGEST_PREFIX}{digest.hash.hexdigest()}"


def write_bundle(folder: Path, fileobj: Writer) -> None:
    """Write the deterministic tar of a bundle: sorted names, time 0, owner 0, mode 0644.

    Files whose name starts with a dot (a desktop's folder settings, an editor's swap file) are no part of it.

    Args:
        folder: the bundle's folder.
        fileobj: where the bytes go; only `write` is used, so a pipe or a socket will do.

    Raises:
        BundleError: the folder is missing or empty, or holds something that is not a plain file.
    """
    names = list(_names(folder))
    if not names:
        raise BundleError(f"{folder} is not a bundle", "it holds no files", "name a folder with a model in it")
    # PAX is plain USTAR except where USTAR cannot say it: 8 GiB and more, names in other alphabets.
    # typeshed wants tell() too; the streaming mode never calls it.
    with tarfile.open(  # type: ignore[call-overload]
        fileobj=fileobj, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8"
    ) as tar:
        for name in names:
            path = folder / name
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as source:
                tar.addfile(member, source)


def read_card(folder: Path) -> dict[str, Any]:
    """Read the model card of a bundle.

    Args:
        folder: the bundle's folder.

    Returns:
        The card as written by `llmctl_model.card` (its fields are described there).

    Raises:
        BundleError: there is no card, or it is not a JSON object with a name.
    """
    path = folder / CARD_FILE
    fix = "export the model again with `python -m llmctl_model`"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder} is not a bundle", f"it has no {CARD_FILE}", fix) from None
    except ValueError as error:
        raise BundleError(f"cannot read {path}", f"not JSON in UTF-8: {error}", fix) from error
    if not isinstance(card, dict) or not isinstance(card.get("name"), str):
        raise BundleError(f"cannot read {path}", "a card is a JSON object with a `name`", fix)
    return card


def builtin(name: str) -> Path:
    """Find a bundle that ships with llmctl, in a checkout or in an installed wheel.

    Args:
        name: `attention`, or `builtin://attention`.

    Returns:
        The bundle's folder.

    Raises:
        BundleError: no bundle of this name ships.
    """
    wanted = name.removeprefix(BUILTIN_SCHEME)
    shipped = {card.parent.name: card.parent for root in _BUILTIN_FOLDERS for card in root.glob(f"*/{CARD_FILE}")}
    try:
        return shipped[wanted]
    except KeyError:
        known = ", ".join(f"{BUILTIN_SCHEME}{each}" for each in sorted(shipped)) or "none (reinstall llmctl)"
        raise BundleError(
            f"no model {BUILTIN_SCHEME}{wanted}", "it does not ship with llmctl", f"use one of: {known}"
        ) from None


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of the bundle's files, relative, with `/`, in one order on every machine."""
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a bundle", "there is no such folder", "check the path of the model")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name in sorted(found):
        if any(part.startswith(".") for part in name.split("/")):
            continue
        path = found[name]
        # A link's target can change without the bundle changing, so a digest over it would name nothing.
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BundleError(f"{folder} is not a bundle", f"{name} is not a plain file", "replace it by a copy")
        if path.is_file():
            yield name


class _Digest:
    """A writer that keeps only the hash of what it was given."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self.hash.update(data)
        return len(data)
