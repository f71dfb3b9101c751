"""`llmctl logs`: what the processes of a stack wrote."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from llmctl import kinds, render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, duration, verb, whole
from llmctl.session import Session
from llmctl_stacks.errors import UsageError


@verb(FIND, streams=True)
def logs(
    session: Session,
    stack: StackArgument = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C")] = False,
    since: Annotated[
        float | None,
        typer.Option("--since", parser=duration, metavar="DURATION", help="Only the last `30s`, `10m` or `2h`"),
    ] = None,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", parser=whole, help="Only the last N lines")
    ] = None,
    replica: Annotated[
        str | None,
        typer.Option("--replica", metavar="NAME", help="Only this replica, as `llmctl status` names it"),
    ] = None,
    component: Annotated[
        Literal["server", "gateway", "supervisor", "requests"] | None,
        typer.Option("--component", help="Only this component; `requests` has a line for each request"),
    ] = None,
) -> None:
    """Show what the processes of a stack wrote, oldest first."""
    from llmctl_stacks import lifecycle

    output = session.console.output
    if follow and output == "json":
        raise UsageError("`--follow` never ends, so it is no JSON document", "", "use `--output ndjson`")
    found = lifecycle.logs(
        session.options(stack),
        follow=follow,
        since_seconds=since,
        lines=lines,
        replica=replica,
        component=component,
    )
    if output == "json":
        session.report(kinds.Logs(tuple(found)), ())
        return
    for line in found:
        session.report(line, render.log_line(line))
