"""`llmctl outputs`: what a stack publishes."""

from __future__ import annotations

import json

from llmctl import kinds
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session
from llmctl.table import columns


@verb(FIND)
def outputs(session: Session, stack: StackArgument = None) -> None:
    """Show the values that a stack publishes. Secrets are masked."""
    from llmctl_stacks import lifecycle

    values = lifecycle.outputs(session.options(stack))
    rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in values.items()]
    session.report(kinds.Outputs(values), columns(rows))
