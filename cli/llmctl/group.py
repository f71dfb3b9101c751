"""How `llmctl --help` looks and how a mistyped verb is answered: sections by purpose, in plain text.

Plain text keeps help fast (no rich), greppable and the same in a pipe. Headings are bold on a terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from llmctl import door
from llmctl.session import Shared
from llmctl_stacks.errors import UsageError


class Command(TyperCommand):
    """A verb, whose help keeps the options of its own apart from the global ones."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options of the verb, then the global options."""
        _write_options(self.get_params(ctx), ctx, formatter)


class Group(TyperGroup):
    """Verbs in sections; the first of them is where errors leave."""

    command_class = Command

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs by purpose, then the options."""
        self.format_commands(ctx, formatter)
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each purpose, in the order of registration."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        longest = max(len(name) for name, _ in commands)
        room = formatter.width - longest - 6
        rows = [
            (getattr(command, "rich_help_panel", None) or "Commands", (name.ljust(longest), _short(command, room)))
            for name, command in commands
            if not command.hidden
        ]
        _write_sections(rows, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb.

        Raises:
            UsageError: when there is none of that name, with the nearest ones.
        """
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self.commands, n=2)
            raise UsageError(f"no such command `{name}`", door.did_you_mean(near), f"{ctx.command_path} --help")
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run a command line and exit the process: the one place that catches."""
        arguments = list(sys.argv[1:] if args is None else args)
        shared = Shared.glimpse(arguments)
        extra |= {"standalone_mode": False, "obj": shared, "prog_name": "llmctl"}
        if os.environ.get("NO_COLOR") or not shared.console.color:
            extra["color"] = False
        if "_LLMCTL_COMPLETE" in os.environ:  # a shell asks what could follow
            from typer._completion_classes import completion_init

            completion_init()
        try:
            code = super().main(arguments, *rest, **extra) or 0
        except typer.Abort:
            code = 130
        except Exception as error:  # noqa: BLE001 — the door translates every error
            code = door.leave(error, shared)
        sys.exit(code)


def _short(command: Any, room: int) -> str:
    text: str = command.get_short_help_str(room)
    return text.removesuffix(".")


def _write_options(params: Iterable[Any], ctx: Any, formatter: Any) -> None:
    rows: list[tuple[str, tuple[str, str]]] = []
    for param in params:
        if (record := param.get_help_record(ctx)) is None:
            continue
        if param.param_type_name == "argument":
            rows.append(("Arguments", (param.metavar or param.name, record[1])))
        else:
            panel = getattr(param, "rich_help_panel", None) or "Options"
            rows.append((panel, (record[0], record[1].removesuffix("."))))
    # Those of the verb come first; `--help` is among them but is declared last.
    _write_sections(sorted(rows, key=lambda row: row[0] not in ("Arguments", "Options")), formatter)


def _write_sections(rows: Iterable[tuple[str, tuple[str, str]]], formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for title, row in rows:
        sections.setdefault(title, []).append(row)
    for title, body in sections.items():
        with formatter.section(typer.style(title, bold=True)):
            formatter.write_dl(body)
