"""What one run of a command knows: how to talk, which project, how long to wait."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llmctl import envelope
from llmctl.console import Console, Output
from llmctl_stacks.errors import UsageError

if TYPE_CHECKING:
    from llmctl_stacks.lifecycle import Observer, Options


@dataclass(frozen=True)
class Session:
    """The global options of one run, resolved.

    Attributes:
        console: where results and narration go.
        config: the project file or folder given, or None to look upwards.
        yes: whether every question is answered yes.
        timeout: seconds until the operation gives up, or None.
        lock_wait: seconds to wait for another operation to release the stack.
    """

    console: Console
    config: Path | None = None
    yes: bool = False
    timeout: float | None = None
    lock_wait: float = 0.0

    def options(self, stack: str | None) -> Options:
        """What every verb of `llmctl_stacks.lifecycle` asks for."""
        from llmctl_stacks.lifecycle import Options

        return Options(config=self.config, stack=stack, lock_wait=self.lock_wait, timeout=self.timeout)

    def stack_name(self, given: str | None) -> str:
        """The stack that an operation is for; says on stderr which one when none was given.

        Raises:
            UsageError: when none was given and no default stands out.
        """
        if given is not None:
            return given
        from llmctl_stacks import lifecycle
        from llmctl_stacks.lifecycle.context import default_stack

        name = default_stack(lifecycle.stacks(self.options(None)))
        self.console.say(f"stack `{name}`")
        return name

    def report(self, result: object, text: Sequence[str]) -> None:
        """Write the result to stdout: an envelope in JSON, else the lines of `text`."""
        if self.console.output == "text":
            for line in text:
                self.console.data(line)
        else:
            self.console.data(envelope.dumps(result, lines=self.console.output == "ndjson"))

    @contextmanager
    def progress(self) -> Iterator[Observer]:
        """Show what an operation does while it runs; yields what the operation reports to."""
        from llmctl.progress import choose

        with choose(self.console) as observe:
            yield observe

    def confirm(self, question: str, command: str, *, word: str = "") -> None:
        """Go on only after a yes: given by `--yes`, or by a person at a terminal.

        Args:
            question: what would happen, ending in `?`.
            command: the command to suggest where nobody can be asked.
            word: what has to be typed instead of a mere `y`.

        Raises:
            UsageError: when nobody can be asked, or the answer is no.
        """
        if self.yes:
            return
        if not self.console.can_ask:
            raise UsageError("this needs a yes, and there is no terminal to ask on", question, command)
        wanted = f"type `{word}` to go on:" if word else "[y/N]"
        typed = self.console.ask(f"{question} {wanted}")
        if typed != word if word else typed.lower() not in ("y", "yes"):
            raise UsageError("not confirmed", "nothing was changed")


@dataclass
class Shared:
    """What outlives the parsing of a command line: the door reads it when an error arrives.

    It starts from a lenient look at the arguments, because an error in them has to be reported in the
    format that they ask for; the verb then replaces the console by the one that was really parsed.
    """

    console: Console
    debug: bool
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def glimpse(cls, arguments: Sequence[str]) -> Shared:
        """Guess the output format and `--debug` of a command line that may not parse."""
        output = os.environ.get("LLMCTL_OUTPUT", "text")
        for flag, value in pairwise([*arguments, ""]):
            if flag in ("-o", "--output"):
                output = value
            elif flag.startswith("--output="):
                output = flag.partition("=")[2]
            elif flag.startswith("-o"):
                output = flag[2:].removeprefix("=")
        known = output if output in ("text", "json", "ndjson") else "text"
        debug = "--debug" in arguments or os.environ.get("LLMCTL_DEBUG", "") not in ("", "0")
        return cls(Console(output=cast("Output", known), color="--no-color" not in arguments), debug)

    def session(self, given: Mapping[str, Any], *, streams: bool) -> Session:
        """Resolve the options given after the verb over those before it.

        Raises:
            UsageError: when NDJSON is asked of a verb that has one document to give.
        """
        chosen = {**self.given, **{name: value for name, value in given.items() if value}}
        self.debug = self.debug or bool(chosen.get("debug"))
        self.console = Console(
            output=chosen.get("output") or "text",
            verbosity=-1 if chosen.get("quiet") else int(chosen.get("verbose") or 0),
            color=not chosen.get("no_color"),
        )
        if self.console.output == "ndjson" and not streams:
            raise UsageError("this verb has no `ndjson` output", "it gives one document", "use `--output json`")
        return Session(
            self.console,
            config=chosen.get("config"),
            yes=bool(chosen.get("yes")),
            timeout=chosen.get("timeout"),
            lock_wait=chosen.get("lock_wait") or 0.0,
        )
