"""`llmctl recover`: mend what an interrupted operation left."""

from __future__ import annotations

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session


@verb(FIND, RUN, streams=True)
def recover(session: Session, stack: StackArgument = None) -> None:
    """Mend what an interrupted operation left behind.

    Ends what still runs of it, drops its locks and settles its pending operations.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    with session.progress() as observe:
        recovery = lifecycle.recover(session.options(name), observe)
    session.report(recovery, render.recovery(recovery))
