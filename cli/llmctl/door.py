"""The one door out of llmctl: whatever was raised becomes a message and an exit code.

Text goes to stderr in up to three parts, `error: what`, the indented why and `next: command`. With JSON
output the same parts are one document on stdout. A traceback is shown only with `--debug`.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Any

from llmctl import envelope, kinds
from llmctl.console import Console, ReaderGone, harmless
from llmctl.session import Shared
from llmctl_stacks.errors import LlmctlError, UsageError


class InternalError(LlmctlError):
    """Raised in place of what llmctl did not foresee."""


def leave(error: BaseException, shared: Shared) -> int:
    """Report `error` and return the exit code."""
    if isinstance(error, ReaderGone):
        return _reader_gone()
    if shared.debug:
        shared.console.complain("".join(traceback.format_exception(error)).rstrip())
    known = _translate(error)
    try:
        _report(known, shared.console)
    except ReaderGone:
        _reader_gone()
    return int(known.exit_code)


def _translate(error: BaseException) -> LlmctlError:
    if isinstance(error, LlmctlError):
        return error
    if hasattr(error, "format_message"):  # what the argument parser raises; its classes are not public
        return _usage(error)
    what = f"unexpected {type(error).__name__}: {error}".strip().removesuffix(":").splitlines()[0]
    return InternalError(what, "this is a defect of llmctl", "run again with `--debug` and report what it shows")


def _usage(error: Any) -> UsageError:
    """Reword a message of the argument parser: no full stop, the choices as a question, the help to read."""
    context = getattr(error, "ctx", None)
    fix = f"{context.command_path} --help" if context else "llmctl --help"
    if option := getattr(error, "option_name", None):
        near = sorted(getattr(error, "possibilities", None) or ())
        if near or type(error).__name__ == "NoSuchOption":
            return UsageError(f"no such option `{option}`", did_you_mean(near), fix)
    message: str = error.format_message().rstrip(".").replace("Value error, ", "")
    if extra := re.fullmatch(r"Got unexpected extra argument\S* \((.*)\)", message):
        return UsageError(f"unexpected argument `{extra[1]}`", "", fix)
    quoted = re.sub(r"'([^']*)'", r"`\1`", message)
    return UsageError(quoted[:1].lower() + quoted[1:], "", fix)


def did_you_mean(near: list[str]) -> str:
    """A question that offers `near`, or nothing when there is nothing near."""
    return f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""


def _report(error: LlmctlError, console: Console) -> None:
    if console.output != "text":
        document = kinds.Error(
            type(error).__name__, int(error.exit_code), error.what, error.why, error.fix, error.details
        )
        console.data(envelope.dumps(document, lines=console.output == "ndjson"))
        return
    console.complain(f"{console.paint('error:', 'red', sys.stderr)} {harmless(error.what)}")
    for line in error.why.splitlines():
        console.complain(f"  {harmless(line)}")
    if error.fix:
        console.complain(f"{console.paint('next:', 'cyan', sys.stderr)} {error.fix}")


def _reader_gone() -> int:
    """The reader of stdout has gone, as in `llmctl logs | head`: end as other tools do, without a word.

    What is still in the buffer must not be flushed at exit, where Python would complain aloud.
    """
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = None
    return 128 + 13
