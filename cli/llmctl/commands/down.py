"""`llmctl down`: take a stack away and verify that nothing is left."""

from __future__ import annotations

from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, RUN, verb
from llmctl.session import Session
from llmctl_stacks.errors import ExitCode


@verb(FIND, RUN, streams=True)
def down(
    session: Session,
    stack: StackArgument = None,
    all_layers: Annotated[
        bool, typer.Option("--all", help="Also delete the data: models, keys and the request log")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also a protected stack; asks for its name")] = False,
) -> None:
    """Take a stack away, then verify that nothing is left running.

    The servers and the gateway go; models, keys and the request log stay for the next `up`, unless `--all`.
    Asks first; `--yes` answers.
    """
    from llmctl_stacks import lifecycle

    name = session.stack_name(stack)
    lost = "its models, keys and request log are deleted too" if all_layers else "its data stays"
    flags = "".join(f" {flag}" for flag, given in (("--all", all_layers), ("--force", force)) if given)
    question = f"its endpoint stops answering and {lost}: take stack `{name}` down?"
    session.confirm(question, f"llmctl down {name}{flags} --yes", word=name if force else "")
    with session.progress() as observe:
        teardown = lifecycle.down(session.options(name), observe, all_layers=all_layers, force=force)
    session.report(teardown, render.teardown(teardown))
    if teardown.leftovers:
        raise typer.Exit(ExitCode.LEFTOVERS)
