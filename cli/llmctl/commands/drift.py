"""`llmctl drift`: the gap between recorded and actual."""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session
from llmctl_stacks.errors import ExitCode


@verb(FIND, RUN, streams=True)
def drift(
    session: Session,
    stack: StackArgument = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 when there is drift")] = False,
) -> None:
    """Compare what is recorded with what is really there.

    Nothing is changed; `llmctl up` puts the difference right, `llmctl refresh` accepts it.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    with session.progress() as observe:
        drift = lifecycle.drift(session.options(name), observe)
    session.report(drift, render.drift(drift))
    if exit_code and drift.items:
        raise typer.Exit(ExitCode.CHANGES)
