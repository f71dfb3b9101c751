"""The reference pages of the command line, written from the code: `python -m llmctl.docs docs/reference`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from llmctl import schema
from llmctl.app import app
from llmctl_stacks.errors import ExitCode

EXIT_CODES = {
    ExitCode.OK: "Done, or nothing to do",
    ExitCode.INTERNAL: "An error that llmctl did not foresee; of `invoke`, an answer with status 400 or above",
    ExitCode.USAGE: "A flag, an argument or the configuration is wrong; a yes is missing",
    ExitCode.PREFLIGHT: "Something that llmctl needs is missing; nothing was changed",
    ExitCode.DEPLOY_FAILED: "The update failed; what served before still serves",
    ExitCode.REFUSED: "A protection, policy or budget refuses",
    ExitCode.LOCKED: "Another operation holds the stack",
    ExitCode.NOT_FOUND: "No such project, stack, replica or output",
    ExitCode.CHANGES: "With `--exit-code`: there are changes, or there is drift",
    ExitCode.LEFTOVERS: "`down` finished, but something is left",
    ExitCode.TIMEOUT: "`--timeout` was reached",
    ExitCode.INTERRUPTED: "Interrupted by Ctrl-C or SIGTERM",
}

_INTRODUCTION = """\
<!-- Written by `python -m llmctl.docs docs/reference`; edit the commands instead. -->

# Command line

`llmctl VERB [STACK] [OPTIONS]`. A stack is a file in `stacks/`; left out, it is the only one, else `local`.

Results go to stdout, narration and errors to stderr. `--output json` writes one document,
`--output ndjson` (operations, `logs` and `status --watch`) one document a line, the result last. Every
document holds `schema` and `kind`; [output.schema.json](output.schema.json) describes each kind. An error is
a document too, of kind `Error`, with the `code`, `what`, `why` and `fix` that people read on stderr.

Without a terminal, or where `CI` is set, llmctl never asks: what needs a yes exits with 2 and names `--yes`.
"""


def cli_page() -> str:
    """`cli.md`: every verb with its arguments and options, the global options, the exit codes."""
    root = get_command(app)
    return "\n".join([_INTRODUCTION, *_global_options(root), *_exit_codes(), *_verbs(root, "llmctl")]) + "\n"


def schema_page() -> str:
    """`output.schema.json`: the JSON Schema of every document."""
    return json.dumps(schema.schema(), ensure_ascii=False, indent=2) + "\n"


def write(folder: Path) -> None:
    """Write both pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cli.md").write_text(cli_page(), encoding="utf-8")
    (folder / "output.schema.json").write_text(schema_page(), encoding="utf-8")


def _global_options(root: Any) -> Iterator[str]:
    yield "## Global options\n"
    yield "Before the verb or after it; after it wins, then before it, then the variable.\n"
    yield from _table(("Option", "Variable", "What it does"), _option_rows(root, shared=True))


def _option_rows(command: Any, *, shared: bool) -> Iterator[tuple[str, ...]]:
    for param in command.params:
        if param.param_type_name != "option" or bool(getattr(param, "rich_help_panel", None)) is not shared:
            continue
        names = ", ".join(f"`{flag}`" for flag in sorted(param.opts, key=len))
        value = f" {_value(param)}" if _value(param) else ""
        text, _, variable = param.help.rstrip(".").partition("  [env var: ")
        row = (f"{names}{value}", text)
        variable = param.envvar or variable.rstrip("]")
        yield (row[0], f"`{variable}`" if variable else "", row[1]) if shared else row


def _value(param: Any) -> str:
    """What stands for the value of an option: its metavar, else its choices."""
    if param.is_flag or param.count:
        return ""
    return str(param.metavar or param.name.upper()).replace("|", "\\|")


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield from _table(("Code", "Meaning"), ((str(int(code)), text) for code, text in EXIT_CODES.items()))


def _verbs(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{path} {name}")
        else:
            yield from _verb(command, f"{path} {name}")


def _verb(command: Any, path: str) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [p.metavar if p.required else f"[{p.metavar}]" for p in arguments]
    yield f"## {path}\n"
    yield f"`{' '.join([path, *words])}`\n"
    yield f"{command.help}\n"
    if [p.metavar for p in arguments] not in ([], ["STACK"]):  # the introduction explains STACK
        yield from _table(("Argument", "What it is"), ((f"`{p.metavar}`", p.help.rstrip(".")) for p in arguments))
    if rows := list(_option_rows(command, shared=False)):
        yield from _table(("Option", "What it does"), rows)
    shared = [max(p.opts, key=len) for p in command.params if getattr(p, "rich_help_panel", None)]
    if shared:
        yield f"Also: {', '.join(f'`{flag}`' for flag in shared)}.\n"


def _table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


if __name__ == "__main__":
    write(Path(sys.argv[1]))
