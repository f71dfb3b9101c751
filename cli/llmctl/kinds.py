"""The documents that belong to the CLI itself, beside the results of `llmctl_stacks.results`."""

from __future__ import annotations

from dataclasses import dataclass

from llmctl_stacks.results import LogLine


@dataclass(frozen=True)
class Error:
    """Why a command failed.

    Attributes:
        code: the class of the error, such as `LockedError`; stable, for scripts.
        exit_code: what the process ends with.
        what: what failed, one line.
        why: the cause, possibly several lines; may be empty.
        fix: the next command or edit; may be empty.
        details: extra facts, such as the `problems` of a configuration.
    """

    code: str
    exit_code: int
    what: str
    why: str
    fix: str
    details: dict[str, object]


@dataclass(frozen=True)
class Event:
    """One step of an operation, as NDJSON. `event` says its own kind."""

    event: dict[str, object]


@dataclass(frozen=True)
class Outputs:
    """The values that a stack publishes, by name."""

    outputs: dict[str, object]


@dataclass(frozen=True)
class Logs:
    """What the processes of a stack wrote, oldest first."""

    lines: tuple[LogLine, ...]


@dataclass(frozen=True)
class Project:
    """What `init` wrote: paths as the user would type them."""

    files: tuple[str, ...]


@dataclass(frozen=True)
class Configuration:
    """The effective configuration of a stack.

    Attributes:
        stack: its name.
        fingerprint: `sha256:` of what the target consumes.
        config: as in the YAML, defaults included, references as written, secrets masked.
        origins: with `--origin`, `file:line` or `default` by dotted key; empty otherwise.
    """

    stack: str
    fingerprint: str
    config: dict[str, object]
    origins: dict[str, str]


@dataclass(frozen=True)
class Validation:
    """The stacks whose files have no problem; with a problem there is an Error instead."""

    stacks: tuple[str, ...]


@dataclass(frozen=True)
class Version:
    """The versions that matter in a bug report.

    Attributes:
        llmctl: version of llmctl.
        python: version of the interpreter.
        engine_required: version of the Pulumi CLI that llmctl needs.
        engine_version: version of the Pulumi CLI that would be used, or None when there is none yet.
        engine_path: its path, or None.
        platform: operating system and machine.
    """

    llmctl: str
    python: str
    engine_required: str
    engine_version: str | None
    engine_path: str | None
    platform: str
