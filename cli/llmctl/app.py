"""The table of contents of llmctl, by purpose, and `main()`.

A command line passes through `group.Group.main`, which holds the one `except`; `door.leave` turns what
was raised into a message and an exit code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Annotated, Any

import typer

from llmctl import __version__
from llmctl.commands import (
    completion,
    config,
    doctor,
    down,
    drift,
    init,
    invoke,
    lock,
    logs,
    outputs,
    preview,
    recover,
    refresh,
    status,
    up,
    version,
)
from llmctl.group import Command, Group
from llmctl.options import sign_root
from llmctl.session import Shared

_HELP_FLAGS = {"help_option_names": ["-h", "--help"]}


def _app(name: str, about: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=about,
        cls=Group,
        context_settings=_HELP_FLAGS,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )


app = _app(
    "llmctl",
    """Bring up a whole LLM inference platform from one YAML file.

    Not sure where to start? Run `llmctl init` in an empty folder, then `llmctl up`.
    """,
)
lock_app = _app("lock", "See who holds a stack, or take a dead owner's lock away.")
config_app = _app("config", "Show, check and explain the configuration.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmctl {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@sign_root
def _root(
    ctx: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 — the callback of the option does the work
        bool,
        typer.Option("--version", help="Show the version and exit", is_eager=True, callback=_show_version),
    ] = False,
    **given: Any,
) -> None:
    shared = ctx.find_object(Shared)
    assert shared is not None
    shared.given = {name: value for name, value in given.items() if value}
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


START, OPERATE, INSPECT, REPAIR, PROJECT = "Start", "Operate", "Inspect", "Repair", "Project"

_CONTENTS: dict[str, dict[str, Callable[..., None]]] = {
    START: {"init": init.init, "up": up.up, "invoke": invoke.invoke},
    OPERATE: {"preview": preview.preview, "refresh": refresh.refresh, "down": down.down},
    INSPECT: {"status": status.status, "outputs": outputs.outputs, "logs": logs.logs, "drift": drift.drift},
    REPAIR: {"doctor": doctor.doctor, "recover": recover.recover},
    PROJECT: {"version": version.version, "completion": completion.completion},
}


def _register(group: typer.Typer, verbs: dict[str, Callable[..., None]], panel: str | None = None) -> None:
    for name, command in verbs.items():
        group.command(name, cls=Command, context_settings=_HELP_FLAGS, rich_help_panel=panel)(command)


for _panel, _verbs in _CONTENTS.items():
    _register(app, _verbs, _panel)
_register(lock_app, {"status": lock.status, "release": lock.release})
_register(
    config_app,
    {"show": config.show, "validate": config.validate, "explain": config.explain, "schema": config.schema},
)
app.add_typer(lock_app, rich_help_panel=REPAIR)
app.add_typer(config_app, rich_help_panel=PROJECT)


def main() -> None:
    """Run the command line of this process and exit; once the outcome is known, Ctrl-C changes nothing."""
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
