"""The file of secrets: one `NAME=value` on each line, readable by its owner alone."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from llmctl_stacks.errors import ConfigError, Problem

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_MAX_BYTES = 256 * 1024


def read_dotenv(path: Path, shown: Path) -> dict[str, str]:
    """Read the secrets in `path`; blank lines and `#` comments are skipped, quotes around a value removed.

    Args:
        path: the file.
        shown: how messages name it; no message holds a value.

    Raises:
        ConfigError: when it is missing, no file, too large, readable by others, not UTF-8, or has lines of
            another form or a name twice.
    """
    problems: list[Problem] = []
    values: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, line in enumerate(_private_text(path, shown).splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        value = _unquoted(match[2]) if match else None
        if match is None or value is None:
            problems.append(Problem(shown, number, "", "is no line of the form NAME=value"))
        elif match[1] in values:
            message = f"duplicate name, also on line {first[match[1]]}"
            problems.append(Problem(shown, number, match[1], message, "remove one of the two"))
        else:
            values[match[1]] = value
            first[match[1]] = number
    if problems:
        raise ConfigError(tuple(problems))
    return values


def _private_text(path: Path, shown: Path) -> str:
    """The text of a file that only its owner can read. The open file is judged, not the name."""
    try:
        # Opened without waiting, so that a named pipe cannot hang the command.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(shown, f"cannot be read: {error.strerror}", f"write it, then chmod 600 {shown}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(shown, "is no ordinary file", "name a file of NAME=value lines")
        if status.st_mode & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            raise _refused(shown, f"can be read by others (mode {mode})", f"chmod 600 {shown}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_BYTES:
        raise _refused(shown, f"is larger than {_MAX_BYTES // 1024} KiB", "name a file of NAME=value lines")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The cause would repeat bytes of the file.
        raise _refused(shown, "is not UTF-8 text", "name a file of NAME=value lines") from None


def _refused(shown: Path, message: str, hint: str) -> ConfigError:
    """The error for a file that cannot be used as a whole."""
    return ConfigError((Problem(shown, None, "", message, hint),))


def _unquoted(text: str) -> str | None:
    """The value without the quotes around it; None when a quote is not closed."""
    if text[:1] not in ("'", '"'):
        return text.split(" #", 1)[0].rstrip()
    match = re.fullmatch(r"""(['"])(.*)\1\s*(#.*)?""", text)
    return match[2] if match and match[1] not in match[2] else None
