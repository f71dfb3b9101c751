"""The options that mean the same for every verb, declared once.

Each may stand before the verb or after it; after it wins, then before it, then the environment variable.
`@verb(...)` adds them to a command's signature and hands the command one `Session` instead of eight values.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, get_type_hints

import typer

from llmctl.console import Output
from llmctl.session import Session, Shared

P = ParamSpec("P")

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PANEL = "Global options"


def duration(text: str) -> float:
    """Seconds of `30`, `1.5s`, `10m`, `2h` or `1d`.

    Raises:
        typer.BadParameter: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None or not math.isfinite(float(match[1])):
        raise typer.BadParameter(f"`{text}` is not a duration such as `30`, `90s`, `10m` or `2h`")
    return float(match[1]) * _UNITS[match[2]]


def whole(text: str) -> int:
    """A number of things: `0`, `20`.

    Raises:
        typer.BadParameter: for anything else.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise typer.BadParameter(f"`{text}` is not a whole number")
    return int(text)


@dataclass(frozen=True)
class _Global:
    """One option: its flags, its type and its words."""

    annotation: Any
    flags: tuple[str, ...]
    help: str
    envvar: str | None = None
    extra: Mapping[str, Any] | None = None

    def parameter(self, name: str, *, before_verb: bool, one_document: bool = False) -> inspect.Parameter:
        """The option as a parameter of the root, which reads the variable, or of a verb, which does not.

        If a verb read the variable too, it would beat a flag given before the verb.
        `one_document` leaves `ndjson` out of the choices.
        """
        annotation, shown = self.annotation, self.help
        if one_document and name == "output":
            annotation, shown = (
                Literal["text", "json"] | None,
                shown.replace("`text`, `json` or `ndjson`", "`text` or `json`"),
            )
        if self.envvar and not before_verb:
            shown += f"  [env var: {self.envvar}]"
        option = typer.Option(
            *self.flags,
            help=shown,
            envvar=self.envvar if before_verb else None,
            show_default=False,
            rich_help_panel=_PANEL,
            **(self.extra or {}),
        )
        return inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[annotation, option],
        )


_DURATION = {"parser": duration, "metavar": "DURATION"}
_GLOBALS = {
    "config": _Global(
        Path | None,
        ("--config", "-c"),
        "`llmctl.yaml` or its folder; looked for upwards by default",
        "LLMCTL_CONFIG",
        {"metavar": "PATH"},
    ),
    "output": _Global(
        Output | None,
        ("--output", "-o"),
        "Write results as `text`, `json` or `ndjson`; `text` by default",
        "LLMCTL_OUTPUT",
        {"metavar": "FORMAT"},
    ),
    "yes": _Global(bool | None, ("--yes", "-y"), "Answer yes to every question", "LLMCTL_YES"),
    "timeout": _Global(
        float | None, ("--timeout",), "Give up after this long; no limit by default", "LLMCTL_TIMEOUT", _DURATION
    ),
    "lock_wait": _Global(
        float | None,
        ("--lock-wait",),
        "Wait this long for another operation on the stack; not at all by default",
        "LLMCTL_LOCK_WAIT",
        _DURATION,
    ),
    "verbose": _Global(int | None, ("--verbose", "-v"), "Say more on stderr", "LLMCTL_VERBOSE", {"count": True}),
    "quiet": _Global(bool | None, ("--quiet", "-q"), "Say nothing on stderr but errors", "LLMCTL_QUIET"),
    "no_color": _Global(bool | None, ("--no-color",), "Use no colour  [env var: NO_COLOR]"),
    "debug": _Global(bool | None, ("--debug",), "Show the traceback of an error", "LLMCTL_DEBUG"),
}

TALK = ("output", "verbose", "quiet", "no_color", "debug")
FIND = ("config",)
RUN = ("yes", "timeout", "lock_wait")


def root_parameters() -> list[inspect.Parameter]:
    """Every global option, as parameters of the callback that runs before any verb."""
    return [option.parameter(name, before_verb=True) for name, option in _GLOBALS.items()]


def verb(
    *groups: tuple[str, ...], streams: bool = False
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[..., None]]:
    """Make `command(session, own options…)` a Typer command that also takes the options of `groups`.

    Args:
        groups: of `FIND` and `RUN`; `TALK` is always there.
        streams: whether the verb can write NDJSON.
    """
    names = [name for name in _GLOBALS if any(name in group for group in (TALK, *groups))]

    def decorate(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
        own = _parameters_after_session(command)
        shared = [_GLOBALS[n].parameter(n, before_verb=False, one_document=not streams) for n in names]

        @functools.wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            given = {name: values.pop(name) for name in names}
            session = ctx.find_object(Shared).session(given, streams=streams)  # type: ignore[union-attr]
            command(session, **values)  # type: ignore[call-arg]

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        _sign(run, [*own, context, *shared])
        return run

    return decorate


def sign_root(callback: Callable[..., None]) -> Callable[..., None]:
    """Give the callback that runs before any verb its signature: the context and every global option."""
    own = list(inspect.signature(callback, eval_str=True).parameters.values())
    named = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD]
    _sign(callback, [*named, *root_parameters()])
    return callback


def _parameters_after_session(command: Callable[..., None]) -> list[inspect.Parameter]:
    hints = get_type_hints(command, include_extras=True)
    _session, *own = inspect.signature(command).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]


def _sign(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
