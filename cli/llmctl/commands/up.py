"""`llmctl up`: from configuration to a first answer."""

from __future__ import annotations

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session


@verb(FIND, RUN, streams=True)
def up(session: Session, stack: StackArgument = None) -> None:
    """Create or update a stack, and wait until it answers.

    What already matches the configuration is left alone; what crashed or went missing is put back. If the
    update fails, what served before still serves.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    with session.progress() as observe:
        update = lifecycle.up(session.options(name), observe)
    session.report(update, render.update(update))
