"""`llmctl refresh`: accept reality into the state."""

from __future__ import annotations

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session


@verb(FIND, RUN, streams=True)
def refresh(session: Session, stack: StackArgument = None) -> None:
    """Record what is really there, and show what differed.

    The resources themselves are left as they are; `llmctl up` puts them right.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    with session.progress() as observe:
        drift = lifecycle.refresh(session.options(name), observe)
    session.report(drift, render.drift(drift, note=", now recorded"))
