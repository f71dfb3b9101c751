"""The one error that providers of llmctl raise."""

from __future__ import annotations


class ResourceError(Exception):
    """Raised when a resource cannot be checked, read, created, updated or deleted.

    Attributes:
        what: what failed, one line.
        why: the cause.
        fix: the next command or edit; may be empty.
        evidence: the last lines of a log, oldest first.
    """

    def __init__(self, what: str, why: str = "", fix: str = "", evidence: tuple[str, ...] = ()) -> None:
        super().__init__(what if not why else f"{what}: {why}")
        self.what = what
        self.why = why
        self.fix = fix
        self.evidence = evidence
