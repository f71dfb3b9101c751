"""Errors of fetching, training and exporting the model: each says what failed, why, and what to do next."""

from __future__ import annotations


class ModelError(Exception):
    """Root of the errors that a user can cause or cure.

    Attributes:
        what: what failed, one line, no full stop.
        why: the cause.
        fix: the next command or edit.
    """

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}: {why} ({fix})")
        self.what = what
        self.why = why
        self.fix = fix


class FetchError(ModelError):
    """Raised when the data cannot be downloaded, or is not the data it should be."""


class DataError(ModelError):
    """Raised when the data was fetched but its rows are not what they should be."""


class TrainingError(ModelError):
    """Raised when training goes wrong: the loss is no longer a number, or the result misses its goal."""


class ExportError(ModelError):
    """Raised when the exported model does not answer like the trained one."""
