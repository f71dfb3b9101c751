"""`status --watch`: the same result again and again, redrawn on a terminal, a line each in a stream."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from llmctl import render
from llmctl.session import Session
from llmctl_stacks.results import Status

_SECONDS = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def watch(session: Session, look: Callable[[], Status]) -> None:
    """Report what `look` finds every two seconds, until the process is interrupted.

    On a terminal each look replaces the one before. In a pipe, text is written again only when it changed.
    """
    console = session.console
    before: object = None
    while True:
        status = look()
        text = render.status(status, console)
        if console.output == "ndjson":
            session.report(status, text)
        elif sys.stdout.isatty():
            console.data("\n".join([_CLEAR + text[0], *text[1:]]))
        elif _gist(status) != before:
            console.data("\n".join([*([""] if before else []), *text]))
        before = _gist(status)
        time.sleep(_SECONDS)


def _gist(status: Status) -> object:
    """What makes a status worth telling again; that time passes does not."""
    return status.state, status.locked_by, [(r.name, r.state, r.restarts) for r in status.replicas]
