"""Names of what is provisioned, made from the project and the stack: the same inputs give the same names."""

from __future__ import annotations

import hashlib
from pathlib import Path

STACK_ID_VARIABLE = "LLMCTL_STACK_ID"
"""Environment variable that every process of a local stack carries, so that none can get lost."""


def stack_id(project: str, stack: str, root: Path) -> str:
    """What tells one local stack from every other one on this machine: `<project>/<stack>@<root>`."""
    return f"{project}/{stack}@{root}"


def short_hash(text: str, digits: int = 16) -> str:
    """The first hex digits of the SHA-256 of `text`, for names that must be short."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
