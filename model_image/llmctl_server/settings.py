"""What the environment may tell the server: every name, unit and default, declared once.

Importable with the standard library alone, so that documentation and other packages' tests can read it.
"""

# ruff: noqa: RUF009 - `_setting` only builds a `dataclasses.field`

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

LOG_LEVELS = ("debug", "info", "warning", "error")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,199}")


class SettingsError(Exception):
    """Raised once with every problem in the environment.

    Attributes:
        problems: one line each, starting with the name of the variable.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise ValueError("must be a whole number")
        if not low <= (value := int(raw)) <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


def _seconds(high: float) -> Callable[[str], float]:
    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise ValueError("must be a number of seconds") from None
        if not (math.isfinite(value) and 0 <= value <= high):
            raise ValueError(f"must be between 0 and {high:g} seconds")
        return value

    return parse


def _matching(pattern: re.Pattern[str], meaning: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not pattern.fullmatch(raw):
            raise ValueError(f"must be {meaning}")
        return raw

    return parse


def _host(raw: str) -> str:
    if re.search(r"[\s/]", raw):
        raise ValueError("must be a host name or an IP address")
    return raw


def _level(raw: str) -> str:
    if raw.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return raw.lower()


def _setting(name: str, default: Any, parse: Callable[[str], Any], description: str, unit: str = "") -> Any:
    metadata = {"env": name, "parse": parse, "description": description, "unit": unit}
    return field(default=default, metadata=metadata)


_label = _matching(_LABEL, "1 to 200 letters, digits or ._:@/+-, starting with a letter or digit")


@dataclass(frozen=True)
class Settings:
    """The server's settings. The fields' metadata hold the variable, unit and description."""

    host: str = _setting("LLMCTL_HOST", "127.0.0.1", _host, "Address to listen on")
    port: int = _setting("LLMCTL_PORT", 8080, _integer(0, 65535), "Port to listen on; 0 lets the system choose")
    model_name: str = _setting(
        "LLMCTL_MODEL_NAME", "attention", _label, "Name of the model in requests, answers and logs"
    )
    model: Path | None = _setting("LLMCTL_MODEL", None, Path, "Bundle of the model: a folder, or a tar of one")
    model_fd: int | None = _setting(
        "LLMCTL_MODEL_FD",
        None,
        _integer(0, 1 << 20),
        "Inherited file descriptor with the bundle's tar; closed once read. Instead of LLMCTL_MODEL",
    )
    model_digest: str | None = _setting(
        "LLMCTL_MODEL_DIGEST",
        None,
        _matching(_DIGEST, "sha256: and 64 hex digits"),
        "Digest that the bundle's tar must have; without it any bundle is served",
    )
    keys_file: Path | None = _setting(
        "LLMCTL_KEYS_FILE",
        None,
        Path,
        "JSON file with the names and SHA-256 hashes of the API keys, read again when it changes; "
        "without it every caller is let in",
    )
    request_log: Path | None = _setting(
        "LLMCTL_REQUEST_LOG", None, Path, "SQLite file that gets one row per request, never its text"
    )
    replica: str = _setting("LLMCTL_REPLICA", "server", _label, "Name of this process in logs and metrics")
    release: str = _setting("LLMCTL_RELEASE", "", _label, "Release that this process belongs to")
    threads: int = _setting(
        "LLMCTL_THREADS",
        0,
        _integer(0, 256),
        "Threads that compute; 0 takes the processors this process may use",
    )
    max_body_bytes: int = _setting(
        "LLMCTL_MAX_BODY_BYTES", 1 << 20, _integer(64, 1 << 30), "Largest request body", "bytes"
    )
    max_tokens: int = _setting(
        "LLMCTL_MAX_TOKENS", 1000, _integer(1, 1_000_000), "Most tokens of one text", "tokens"
    )
    max_queue: int = _setting(
        "LLMCTL_MAX_QUEUE",
        512,
        _integer(1, 1_000_000),
        "Most texts waiting for a worker, with 4096 characters each on average. Beyond it: 429",
        "texts",
    )
    max_texts: int = _setting("LLMCTL_MAX_TEXTS", 64, _integer(1, 10_000), "Most texts of one request", "texts")
    drain_delay: float = _setting(
        "LLMCTL_DRAIN_DELAY",
        2.0,
        _seconds(3600),
        "Time after SIGTERM during which the listener answers 503, so that balancers notice",
        "seconds",
    )
    grace: float = _setting(
        "LLMCTL_GRACE", 30.0, _seconds(3600), "Time after SIGTERM that accepted requests may take", "seconds"
    )
    log_level: str = _setting(
        "LLMCTL_LOG_LEVEL", "info", _level, f"Least severe log line: {', '.join(LOG_LEVELS)}"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; a variable that is empty counts as absent.

        Args:
            environment: names and values, such as `os.environ`.

        Raises:
            SettingsError: with all problems at once.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for each in fields(cls):
            name = each.metadata["env"]
            if not (raw := environment.get(name, "")):
                continue
            try:
                values[each.name] = each.metadata["parse"](raw)
            except ValueError as error:
                problems.append(f"{name}={_shown(raw)}: {error}")
        settings = cls(**values)
        problems += settings._conflicts({name for name in environment if environment[name]})
        if problems:
            raise SettingsError(tuple(problems))
        return settings

    def _conflicts(self, given: set[str]) -> list[str]:
        problems = []
        # By name, not by value: a bundle setting that was given but is malformed has been reported already.
        if len(given & {"LLMCTL_MODEL", "LLMCTL_MODEL_FD"}) != 1:
            problems.append("LLMCTL_MODEL: set either this or LLMCTL_MODEL_FD")
        if self.max_texts > self.max_queue:
            problems.append(
                f"LLMCTL_MAX_TEXTS={self.max_texts}: must not exceed LLMCTL_MAX_QUEUE={self.max_queue}, "
                "or a full request could never be accepted"
            )
        return problems


@dataclass(frozen=True)
class Variable:
    """One environment variable, for documentation.

    Attributes:
        name: of the variable.
        default: as it would be written; empty when there is none.
        unit: of the value; empty for names, paths and plain numbers.
        description: one sentence.
    """

    name: str
    default: str
    unit: str
    description: str


def variables() -> tuple[Variable, ...]:
    """Every variable that the server reads, in the order of the reference page."""
    return tuple(
        Variable(
            name=each.metadata["env"],
            default="" if each.default is None else str(each.default),
            unit=each.metadata["unit"],
            description=each.metadata["description"],
        )
        for each in fields(Settings)
    )


def _shown(raw: str) -> str:
    """The value as one short printable line, so that a bad variable cannot garble the log."""
    text = raw if raw.isprintable() else ascii(raw)
    return text if len(text) <= 80 else f"{text[:77]}..."
