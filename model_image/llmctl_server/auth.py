"""API keys: who may call, known by the hash of the key only."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmctl_server.errors import ApiError, StartError

_log = logging.getLogger(__name__)
_HASH = re.compile(r"[0-9a-f]{64}")
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="llmctl"'),)


@dataclass(frozen=True)
class _Key:
    name: str
    digest: bytes


class KeyFile:
    """The keys of one file, which is read again when it changes. Not for several threads."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Args:
            path: JSON `{"keys": [{"name": "...", "sha256": "<64 hex digits>"}]}`; a name may occur twice, so
                that a key can be replaced while the old one still works.

        Raises:
            StartError: it is missing or malformed; serving without the check would let everybody in.
        """
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        try:
            self._stamp = self._look()
            self._keys = _parse(path.read_bytes())
        except (OSError, ValueError) as error:
            raise StartError(f"LLMCTL_KEYS_FILE={path}: {_reason(error)}") from error

    def refresh(self) -> None:
        """Read the file again if it changed; a missing or malformed one leaves the last good keys in force."""
        try:
            stamp = self._look()
        except OSError as error:
            if self._stamp is not None:
                _log.warning("keys file %s: %s; the last good keys stay in force", self._path, _reason(error))
                self._stamp = None
            return
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("keys file %s: %s; the last good keys stay in force", self._path, _reason(error))
        else:
            _log.info("keys file %s read again: %d keys", self._path, len(self._keys))

    def check(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the name of the key that a request presents.

        Args:
            headers: names in lower case.

        Raises:
            ApiError: 401, when there is no key or none of the presented ones is known.
        """
        presented = _presented(headers)
        if not presented:
            raise ApiError(
                401,
                "missing_api_key",
                "no API key; send `Authorization: Bearer KEY` or `x-api-key: KEY`",
                headers=_CHALLENGE,
            )
        name = self._name_of(presented)
        if name is None:
            # The file may hold a key that is younger than the last look at it.
            self.refresh()
            name = self._name_of(presented)
        if name is None:
            raise ApiError(401, "invalid_api_key", "the API key is not known here", headers=_CHALLENGE)
        return name

    def _name_of(self, presented: list[bytes]) -> str | None:
        found = None
        for key in presented:
            digest = hashlib.sha256(key).digest()
            # No early end: the time must not tell how far down the list a key is.
            for known in self._keys:
                if hmac.compare_digest(known.digest, digest):
                    found = known.name
        return found

    def _look(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino


def _presented(headers: Mapping[bytes, bytes]) -> list[bytes]:
    keys = []
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credentials.strip():
        keys.append(credentials.strip())
    if key := headers.get(b"x-api-key", b"").strip():
        keys.append(key)
    return keys


def _parse(content: bytes) -> tuple[_Key, ...]:
    document = json.loads(content)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("must be a JSON object with a list `keys`")  # noqa: TRY004 - content, not type, is wrong
    keys = []
    for index, entry in enumerate(entries):
        name, digest = (entry.get("name"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        if not (isinstance(name, str) and name):
            raise ValueError(f"keys[{index}].name must be a text")
        if not (isinstance(digest, str) and _HASH.fullmatch(digest)):
            raise ValueError(f"keys[{index}].sha256 must be 64 lower-case hex digits")
        keys.append(_Key(name, bytes.fromhex(digest)))
    return tuple(keys)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
