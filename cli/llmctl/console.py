"""The only place that prints: data on stdout, narration on stderr, colour only as a decoration.

A colour never carries a meaning of its own: `NO_COLOR`, `--no-color`, `TERM=dumb` and a pipe lose
nothing but looks. Text that did not come from llmctl (log lines, answers, evidence) may hold terminal
control characters; `harmless` makes them visible before a terminal sees them.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal, TextIO

Output = Literal["text", "json", "ndjson"]

_STYLES = {
    "bold": "\x1b[1m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "cyan": "\x1b[36m",
}
_RESET = "\x1b[0m"
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class ReaderGone(Exception):
    """Raised when nobody reads stdout any more, as in `llmctl logs | head`.

    Not a BrokenPipeError: the argument parser would catch that and end with 1.
    """


def harmless(text: str) -> str:
    r"""Return `text` with control characters written out (`\x1b`), so that it cannot steer a terminal."""
    return text.translate(_CONTROL)


def unattended() -> bool:
    """Whether `CI` says that nobody watches: no live view, no question."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@dataclass(frozen=True)
class Console:
    """How one run of llmctl talks.

    Attributes:
        output: what stdout carries: text for people, one JSON document, or one JSON document a line.
        verbosity: 0 normally, above 0 for `-v`, below 0 for `-q` (errors only).
        color: False forbids colour; True lets each stream decide by whether it is a terminal.
    """

    output: Output = "text"
    verbosity: int = 0
    color: bool = True

    def data(self, text: str) -> None:
        """Write one or more lines of results to stdout.

        Raises:
            ReaderGone: when the reader of stdout has gone.
        """
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None

    def say(self, text: str) -> None:
        """Write narration to stderr, unless `-q`."""
        if self.verbosity >= 0:
            self.complain(text)

    def detail(self, text: str) -> None:
        """Write narration that only `-v` asks for."""
        if self.verbosity > 0:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Write to stderr whatever the verbosity: errors and their cure."""
        try:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except (BrokenPipeError, ValueError):
            # Nobody reads stderr any more. An operation must not stop half way for that.
            return

    def paint(self, text: str, style: str, stream: TextIO | None = None) -> str:
        """Return `text` in a style (a key of the table above) when `stream` (default stdout) shows colour."""
        return f"{_STYLES[style]}{text}{_RESET}" if self.shows_color(stream or sys.stdout) else text

    def shows_color(self, stream: TextIO) -> bool:
        """Whether escape sequences belong on `stream`."""
        plain = not self.color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and stream.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether a question would reach a person: a terminal on stdin and stderr, and not `CI`."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not unattended()

    @property
    def can_redraw(self) -> bool:
        """Whether a live view makes sense on stderr."""
        return (
            self.output != "ndjson"
            and self.verbosity >= 0
            and sys.stderr.isatty()
            and os.environ.get("TERM") != "dumb"
            and not unattended()
        )

    def ask(self, question: str) -> str:
        """Ask on stderr and return what was typed, without space around it. Call it only when `can_ask`."""
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()
