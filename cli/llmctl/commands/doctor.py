"""`llmctl doctor`: does this machine have what llmctl needs?"""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session
from llmctl_stacks.errors import ExitCode


@verb(FIND)
def doctor(
    session: Session,
    stack: StackArgument = None,
    fix: Annotated[bool, typer.Option("--fix", help="Install or mend what can be")] = False,
) -> None:
    """Check what llmctl needs on this machine.

    Exits with 3 when something is missing.
    """
    from llmctl_stacks import lifecycle

    with session.progress() as observe:
        diagnosis = lifecycle.doctor(session.options(stack), observe, fix=fix)
    session.report(diagnosis, render.diagnosis(diagnosis, session.console))
    if any(check.state == "failed" for check in diagnosis.checks):
        raise typer.Exit(ExitCode.PREFLIGHT)
