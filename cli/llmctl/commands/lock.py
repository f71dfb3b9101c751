"""`llmctl lock`: who holds a stack."""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session


@verb(FIND)
def status(session: Session, stack: StackArgument = None) -> None:
    """Show which operation holds the stack, and whether it lives."""
    from llmctl_stacks import lifecycle

    lock = lifecycle.lock_status(session.options(stack))
    session.report(lock, render.lock(lock))


@verb(FIND)
def release(
    session: Session,
    stack: StackArgument = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even when the owner still runs; its operation may break")
    ] = False,
) -> None:
    """Take the lock of a dead operation away."""
    from llmctl_stacks import lifecycle

    lock = lifecycle.lock_release(session.options(stack), force=force)
    session.report(lock, render.lock(lock))
