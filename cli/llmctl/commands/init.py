"""`llmctl init`: write a project that works unedited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmctl import kinds
from llmctl.options import verb
from llmctl.session import Session


@verb()
def init(
    session: Session,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder to write to, made if missing; this one by default", show_default=False
        ),
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the project; that of the folder by default"),
    ] = None,
) -> None:
    """Write a project that works unedited.

    Files that are already there are never overwritten.
    """
    from llmctl_stacks import lifecycle

    files = tuple(str(path) for path in lifecycle.init(directory, name=name))
    session.report(kinds.Project(files), files)
    there = "" if directory == Path() else f"cd {directory} && "
    session.console.say(f"next: {there}llmctl up")
