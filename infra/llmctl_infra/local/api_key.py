"""The first API key of a stack: made once, kept in a private file, known elsewhere by its hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Any

from pydantic import Field

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.base import DRIFT, Inputs, LocalHandler, Observed
from llmctl_infra.local.files import mode_drift, remove, remove_if_empty, write_private

_FORM = re.compile(r"^[\x21-\x7e]{16,512}$")  # printable, and long enough not to be guessed


class ApiKeyInputs(Inputs):
    """Inputs of `llmctl:local:ApiKey`.

    Attributes:
        name: how the client is called in logs and limits.
        path: file that holds the key in clear, mode 0600.
        value: the key; without it one is made.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    path: Path
    value: str | None = Field(default=None, pattern=_FORM.pattern, repr=False)


class ApiKey(LocalHandler[ApiKeyInputs]):
    """Keeps the key file. A well-formed key that somebody put there is taken over: that is a rotation."""

    inputs = ApiKeyInputs
    computed = frozenset({"keyId", "sha256", DRIFT})
    stable = frozenset({"keyId"})
    replace_on = frozenset({"path", "name"})

    def identity(self, inputs: ApiKeyInputs) -> str:
        """The path of the key file."""
        return str(inputs.path)

    def converge(self, inputs: ApiKeyInputs) -> dict[str, Any]:
        """Make the key unless a good one is there."""
        key = inputs.value or _existing(inputs.path) or new_api_key()
        if not inputs.path.exists() or inputs.path.read_text().strip() != key or mode_drift(inputs.path):
            write_private(inputs.path, key + "\n")
        return _outputs(inputs.name, key)

    def observe(self, inputs: ApiKeyInputs) -> Observed | None:
        """The hash of the key that is there."""
        if not inputs.path.exists():
            return None
        key = _existing(inputs.path)
        if key is None:
            kept = {"keyId": inputs.name, "sha256": ""}
            return Observed(kept, (f"{inputs.path} holds no API key",))
        changed = inputs.value is not None and inputs.value != key
        edited = (f"{inputs.path} was edited",) if changed else ()
        return Observed(_outputs(inputs.name, key), edited + mode_drift(inputs.path))

    def remove(self, inputs: ApiKeyInputs) -> None:
        """Forget the key."""
        remove(inputs.path)
        remove_if_empty(inputs.path.parent)


def new_api_key() -> str:
    """A fresh API key: `llmctl_` and 43 characters that hold 256 random bits."""
    return f"llmctl_{secrets.token_urlsafe(32)}"


def api_key_hash(key: str) -> str:
    """What the server knows of an API key."""
    return hashlib.sha256(key.encode()).hexdigest()


def load_api_key(path: Path) -> str:
    """The API key in a file.

    Raises:
        ResourceError: when there is none.
    """
    key = _existing(path) if path.exists() else None
    if key is None:
        raise ResourceError(f"{path} holds no API key", "", "run `llmctl up` to make one")
    return key


def _existing(path: Path) -> str | None:
    if not path.exists():
        return None
    text = path.read_text(errors="replace").strip()
    return text if _FORM.fullmatch(text) else None


def _outputs(name: str, key: str) -> dict[str, Any]:
    return {"keyId": name, "sha256": api_key_hash(key)}
