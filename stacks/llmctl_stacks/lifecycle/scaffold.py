"""`init`: a project that works unedited."""

from __future__ import annotations

import os
import re
from pathlib import Path

from llmctl_stacks.config import scaffold
from llmctl_stacks.errors import PreflightError, RefusedError, UsageError


def init(directory: Path, *, name: str | None = None) -> tuple[Path, ...]:
    """Write the files of a new project into `directory`, which is made if it is missing.

    Args:
        directory: the project's folder.
        name: name of the project; that of the folder by default.

    Raises:
        UsageError: when the name cannot be used.
        RefusedError: when one of the files is there already; nothing is written then.
        PreflightError: when the folder cannot be written to.
    """
    files = {directory / path: text for path, text in scaffold(name or _name_of(directory)).items()}
    taken = [path for path in files if os.path.lexists(path)]
    if taken:
        raise RefusedError(
            f"{taken[0]} is already there",
            "`llmctl init` never overwrites a file",
            "choose another folder, or run `llmctl up` here",
        )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise PreflightError(
            f"cannot write to {directory}", error.strerror or str(error), "choose another folder"
        ) from error
    return tuple(files)


def _name_of(directory: Path) -> str:
    """A project name made of the folder's."""
    words = re.findall(r"[a-z0-9]+", directory.absolute().name.lower())
    name = re.sub(r"^[0-9-]+", "", "-".join(words))[:40].strip("-")
    if not name:
        raise UsageError(
            f"no project name can be made of {directory.absolute().name!r}", "", "give one with --name"
        )
    return name
