"""`llmctl status`: a stack as it is now."""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session
from llmctl.watch import watch
from llmctl_stacks.errors import UsageError


@verb(FIND, streams=True)
def status(
    session: Session,
    stack: StackArgument = None,
    watching: Annotated[bool, typer.Option("--watch", "-w", help="Keep showing it, until Ctrl-C")] = False,
) -> None:
    """Show a stack as it is now: its state, endpoint and processes.

    Reads the machine, not the records: a process that died is shown as such, with the end of its log.
    """
    from llmctl_stacks import lifecycle

    if watching and session.console.output == "json":
        raise UsageError("`--watch` never ends, so it is no JSON document", "", "use `--output ndjson`")
    options = session.options(stack)
    if not watching:
        now = lifecycle.status(options)
        session.report(now, render.status(now, session.console))
        return
    watch(session, lambda: lifecycle.status(options))
