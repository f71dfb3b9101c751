"""What is recorded, and where secrets come from."""

from __future__ import annotations

from typing import Annotated, Literal

from llmctl_stacks.config.model.base import Section, entry
from llmctl_stacks.config.model.values import DurationRange, SizeRange, Text
from llmctl_stacks.config.quantities import Duration, Size

FilePath = Annotated[str, Text("the path of a file", r"[^\0\n]+")]


class RequestLog(Section):
    """The record of every request: time, API key name, status, milliseconds; never the text."""

    enabled: bool = entry(True, "Whether requests are recorded.")
    retention: Annotated[Duration, DurationRange("1d", "3650d", whole_days=True)] = entry(
        Duration.parse("14d"), "How long a record is kept, in whole days."
    )


class Logs(Section):
    """The log files of the processes of a local stack."""

    max_size: Annotated[Size, SizeRange("64KiB", "1GiB")] = entry(
        Size.parse("10MiB"), "Size at which a log file is rotated."
    )
    keep: int = entry(3, "Rotated files that are kept beside the current one.", ge=0, le=20)


class Observability(Section):
    """What is recorded, and for how long."""

    request_log: RequestLog = entry(RequestLog(), "The record of every request.")
    logs: Logs = entry(Logs(), "The log files of the processes.", targets=("local",))


class SecretSource(Section):
    """Where `${secret:X}` is looked up."""

    from_: Literal["env", "file"] = entry(
        "env",
        "`env`: the environment variable of that name. `file`: a line `X=value` of the file at `path`.",
        alias="from",
        references="none",
    )
    path: FilePath | None = entry(
        None,
        "The file of `NAME=value` lines, relative to the file that says so; with `from: file` only. "
        "Refused when anyone but you can read it (chmod 600).",
        example="secrets.env",
        references="none",
    )
