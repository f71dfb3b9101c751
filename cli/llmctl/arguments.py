"""The positional STACK of almost every verb, with its shell completion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def complete_stack(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the project's stacks; nothing where there is no project to read.

    Looks at file names only: the configuration package needs pydantic and yaml, too slow for a Tab key.
    """
    given = ctx.params.get("config") or ctx.find_root().params.get("config")
    config = Path(given) if given else None
    here = Path.cwd()
    roots = [config if config.is_dir() else config.parent] if config else [here, *here.parents]
    root = next((folder for folder in roots if (folder / "llmctl.yaml").exists()), None)
    files = sorted((root / "stacks").glob("*.yaml")) if root else []
    return [file.stem for file in files if file.stem.startswith(incomplete)]


StackArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STACK",
        help="Name of a file in `stacks/`; the only one, else `local`, by default",
        show_default=False,
        autocompletion=complete_stack,
    ),
]
