"""`llmctl invoke`: ask the endpoint something."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from llmctl import render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session
from llmctl_stacks.errors import ExitCode, UsageError

_EXAMPLE = 'llmctl invoke "some text"'


@verb(FIND, ("timeout",))
def invoke(
    session: Session,
    stack: StackArgument = None,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What to ask", show_default=False)] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", "-d", metavar="JSON|@FILE|-", help="The whole body instead: JSON, a file, or stdin"
        ),
    ] = None,
) -> None:
    """Send one request through the gateway of a stack.

    Uses the first API key of the stack. One argument is the TEXT; two are STACK and TEXT. With `--data` the
    only argument is the STACK.
    """
    from llmctl_stacks import lifecycle

    if data is None and text is None:
        stack, text = _one_argument(session, stack)
    body = _body(text, data)
    answer = lifecycle.invoke(session.options(stack), body)
    session.report(answer, render.answer(answer))
    session.console.say(render.answer_note(answer))
    if answer.status >= 400:
        raise typer.Exit(ExitCode.INTERNAL)


def _one_argument(session: Session, only: str | None) -> tuple[None, str]:
    """Take the only argument as text, unless it is the name of a stack: then the text is missing."""
    from llmctl_stacks import lifecycle

    if only is None:
        raise UsageError("nothing to send", "give a text or `--data`", _EXAMPLE)
    if only in lifecycle.stacks(session.options(None)):
        raise UsageError("nothing to send", f"`{only}` is a stack", f'llmctl invoke {only} "some text"')
    return None, only


def _body(text: str | None, data: str | None) -> bytes:
    """The JSON to send."""
    if text is not None and data is not None:
        raise UsageError("both TEXT and `--data` are given", "the body can come from one of them", _EXAMPLE)
    if text is not None:
        return json.dumps({"text": text}, ensure_ascii=False).encode()
    assert data is not None
    source, raw = _read(data)
    try:
        json.loads(raw)
    except ValueError as error:
        raise UsageError(f"{source} is not JSON", str(error), 'llmctl invoke --data \'{"text": "…"}\'') from error
    return raw


def _read(data: str) -> tuple[str, bytes]:
    """Where the body comes from, in words, and its bytes."""
    if data == "-":
        return "stdin", sys.stdin.buffer.read()
    if not data.startswith("@"):
        return "the value of `--data`", data.encode()
    path = Path(data[1:])
    try:
        return f"`{path}`", path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read `{path}`", error.strerror or str(error)) from error
