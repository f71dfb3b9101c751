"""Objects encrypted at rest: AES-256-GCM in chunks, each object under a data key of its own.

Envelope encryption: the master key (`kms_key`) encrypts only the 32 bytes of the data key, which travels in the
object's header. Layout, all numbers big-endian::

    magic 8 | version 1 | master key id 8 | nonce 12, wrapped data key 48 | nonce prefix 7 | chunk size 4
    chunk 0: ciphertext + tag 16 | chunk 1 | ... | last chunk, which may be shorter

The chunks follow the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption
and its Nonce-Reuse Misuse-Resistance", 2015): the nonce of a chunk is prefix 7 | counter 4 | last 1, so that no
chunk can be moved, repeated or left off. The additional data of every chunk and of the wrapped key is the hash
of header and object name, so that no object can pass for another one. Content is released only chunk by chunk
after its tag was checked; the caller must not act on it before `unseal` has returned.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from llmctl_infra.errors import ResourceError

CHUNK: Final = 1 << 20
KEY_BYTES: Final = 32
_TAG: Final = 16
_MAGIC: Final = b"LLMCTLSO"
_VERSION: Final = 1
_HEADER: Final = struct.Struct(">8sB8s12s48s7sI")
_LARGEST_CHUNK: Final = 64 << 20


class DamagedError(ResourceError):
    """Raised when an object is not what was sealed: cut, changed, renamed, or not an object at all."""


class WrongKeyError(ResourceError):
    """Raised when an object was sealed with another master key."""


def key_id(master_key: bytes) -> str:
    """Fingerprint of a master key, 16 hex digits; says nothing about the key."""
    return hashlib.sha256(b"llmctl kms key\0" + master_key).hexdigest()[:16]


class Sealer:
    """Encrypts what is written to it; use as a context manager, leaving it writes the last chunk.

    Args:
        file: where the object goes.
        name: of the object; needed again to open it.
        master_key: 32 bytes.

    Attributes:
        digest: SHA-256 of the plaintext so far.
        size: bytes of plaintext so far.
    """

    def __init__(self, file: BinaryIO, name: str, master_key: bytes) -> None:
        data_key = os.urandom(KEY_BYTES)
        wrap_nonce, self._prefix = os.urandom(12), os.urandom(7)
        fixed = (_MAGIC, _VERSION, bytes.fromhex(key_id(master_key)), wrap_nonce)
        bound = _bound(_HEADER.pack(*fixed, bytes(48), self._prefix, CHUNK), name)
        wrapped = AESGCM(master_key).encrypt(wrap_nonce, data_key, bound)
        file.write(_HEADER.pack(*fixed, wrapped, self._prefix, CHUNK))
        self.digest = hashlib.sha256()
        self.size = 0
        self._file = file
        self._cipher = AESGCM(data_key)
        self._bound = bound
        self._counter = 0
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        """Encrypt `data`; what fills no chunk waits."""
        self.digest.update(data)
        self.size += len(data)
        self._waiting += data
        while len(self._waiting) > CHUNK:  # never the last chunk, which is marked as such
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def __enter__(self) -> Sealer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._seal(bytes(self._waiting), last=True)

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        nonce = _nonce(self._prefix, self._counter, last)
        self._file.write(self._cipher.encrypt(nonce, chunk, self._bound))
        self._counter += 1


def unseal(path: Path, name: str, master_key: bytes, digest: str, write: Callable[[bytes], object]) -> int:
    """Decrypt an object and check every byte of it.

    Args:
        path: of the object.
        name: that it was sealed under.
        master_key: 32 bytes.
        digest: `sha256:` and the hex digest that the plaintext must have.
        write: takes the plaintext, a chunk at a time.

    Returns:
        The size of the plaintext in bytes.

    Raises:
        DamagedError: when the object is missing or not what was sealed.
        WrongKeyError: when another master key sealed it.
    """
    found, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            for chunk in _chunks(file, path, name, master_key):
                found.update(chunk)
                size += len(chunk)
                write(chunk)
    except FileNotFoundError as error:
        raise damaged(path, "it does not exist") from error
    if f"sha256:{found.hexdigest()}" != digest:
        raise damaged(path, f"its content has the digest sha256:{found.hexdigest()}, not {digest}")
    return size


def sealed_with(path: Path) -> str:
    """Id of the master key that an object was sealed with, from its header.

    Raises:
        DamagedError: when there is no such header.
    """
    try:
        with path.open("rb") as file:
            return _header(file, path)[2].hex()
    except FileNotFoundError as error:
        raise damaged(path, "it does not exist") from error


def damaged(path: Path, why: str) -> DamagedError:
    """The error that names a damaged object."""
    return DamagedError(f"the object {path} is damaged", why, "run `llmctl up` to seal it again from its source")


def _chunks(file: BinaryIO, path: Path, name: str, master_key: bytes) -> Iterator[bytes]:
    magic, version, sealed_by, wrap_nonce, wrapped, prefix, size = _header(file, path)
    if sealed_by.hex() != key_id(master_key):
        raise WrongKeyError(
            f"the object {path} cannot be opened",
            f"it was sealed with the KMS key {sealed_by.hex()}, not with {key_id(master_key)}",
            "restore the old key file, or run `llmctl up` to seal it again from its source",
        )
    bound = _bound(_HEADER.pack(magic, version, sealed_by, wrap_nonce, bytes(48), prefix, size), name)
    try:
        cipher = AESGCM(AESGCM(master_key).decrypt(wrap_nonce, wrapped, bound))
    except InvalidTag as error:
        raise damaged(path, "its header or its name was changed") from error
    sealed, counter = file.read(size + _TAG), 0
    while True:
        following = file.read(size + _TAG)
        try:
            yield cipher.decrypt(_nonce(prefix, counter, last=not following), sealed, bound)
        except InvalidTag as error:
            raise damaged(path, f"its chunk {counter} was changed or what follows it is missing") from error
        if not following:
            return
        sealed, counter = following, counter + 1


def _header(file: BinaryIO, path: Path) -> tuple[bytes, int, bytes, bytes, bytes, bytes, int]:
    raw = file.read(_HEADER.size)
    if len(raw) < _HEADER.size or raw[:8] != _MAGIC or raw[8] != _VERSION:
        raise damaged(path, "it does not begin like a sealed object of this version")
    header: tuple[bytes, int, bytes, bytes, bytes, bytes, int] = _HEADER.unpack(raw)
    if not 0 < header[6] <= _LARGEST_CHUNK:
        raise damaged(path, "its header was changed")
    return header


def _bound(header: bytes, name: str) -> bytes:
    """What every part of the object is bound to: the header (without the wrapped key) and the name."""
    return hashlib.sha256(header + name.encode()).digest()


def _nonce(prefix: bytes, counter: int, last: bool) -> bytes:
    return prefix + counter.to_bytes(4, "big") + (b"\1" if last else b"\0")
