"""`llmctl preview`: what `up` would change."""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session
from llmctl_stacks.errors import ExitCode


@verb(FIND, RUN, streams=True)
def preview(
    session: Session,
    stack: StackArgument = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 when there are changes")] = False,
) -> None:
    """Show what `up` would change, and what requests would notice.

    Nothing is changed.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    with session.progress() as observe:
        preview = lifecycle.preview(session.options(name), observe)
    session.report(preview, render.preview(preview, everything=session.console.verbosity > 0))
    if exit_code and preview.has_changes:
        raise typer.Exit(ExitCode.CHANGES)
