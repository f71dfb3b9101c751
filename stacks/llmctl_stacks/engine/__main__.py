"""Finds, installs or builds the Pulumi CLI and prints its path: `python -m llmctl_stacks.engine`."""

from __future__ import annotations

import sys
import time

from llmctl_stacks.engine.install import ensure_cli
from llmctl_stacks.errors import LlmctlError
from llmctl_stacks.home import Home


class _Progress:
    """One line that is rewritten on a terminal; elsewhere a new line every half minute."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K")
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 30.0
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def main() -> int:
    """Print the path on stdout and progress on stderr; returns the exit code."""
    try:
        found = ensure_cli(Home.from_environment(), _Progress())
    except LlmctlError as error:
        sys.stderr.write(f"error: {error}\nfix: {error.fix}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{found.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
