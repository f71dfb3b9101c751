"""`llmctl config`: show, check and explain the configuration. Needs no engine, account or network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmctl import kinds, render
from llmctl.arguments import StackArgument
from llmctl.options import FIND, verb
from llmctl.session import Session
from llmctl_stacks.errors import ConfigError

if TYPE_CHECKING:
    from llmctl_stacks.config import Project


@verb(FIND)
def show(
    session: Session,
    stack: StackArgument = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say beside each value which file and line it is from")
    ] = False,
) -> None:
    """Show the configuration of a stack, defaults included.

    Both files are merged. References such as `${env:X}` stay as they are written; secrets are masked.
    """
    from llmctl_stacks.config import load
    from llmctl_stacks.config.show import show as as_data
    from llmctl_stacks.config.show import show_yaml

    loaded = load(_project(session), session.stack_name(stack))
    origins = {key: str(place) for key, place in loaded.origins.items()} if origin else {}
    document = kinds.Configuration(loaded.stack, loaded.fingerprint, as_data(loaded), origins)
    session.report(document, [show_yaml(loaded, origin=origin).rstrip("\n")])


@verb(FIND)
def validate(session: Session, stack: StackArgument = None) -> None:
    """Check the files of a stack, or of all stacks.

    Reports every problem at once, each with its file and line.
    """
    from llmctl_stacks.config import validate as check

    project = _project(session)
    if problems := check(project, stack):
        raise ConfigError(problems, "edit the lines above; `llmctl config explain KEY` describes a key")
    valid = kinds.Validation((stack,) if stack is not None else project.stacks())
    session.report(valid, [f"valid: {', '.join(f'`{name}`' for name in valid.stacks)}"])


@verb()
def explain(
    session: Session,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Dotted, such as `gateway.rate_limits[].rps`")],
) -> None:
    """Explain one key: what it does, its type, default and example."""
    from llmctl_stacks.config.explain import explain as describe

    explanation = describe(key)
    session.report(explanation, render.explanation(explanation))


@verb()
def schema(session: Session) -> None:
    """Print the JSON Schema of the configuration, for editors.

    The document is the schema itself, with `--output json` too.
    """
    from llmctl_stacks.config.schema import schema as build

    session.console.data(json.dumps(build(), ensure_ascii=False, indent=2))


def _project(session: Session) -> Project:
    from llmctl_stacks.config import find_project

    return find_project(Path.cwd(), session.config)
