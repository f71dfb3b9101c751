"""Start the server: `python -m llmctl_server`, settings from the environment.

Exit codes::

    0    ended by SIGTERM or SIGINT; what was accepted was finished, as far as LLMCTL_GRACE allowed
    69   the address cannot be listened on: the port is taken, or not allowed
    70   an error of the server itself; the log has the details
    78   a setting, the keys file or the model bundle cannot be used; one line on stderr for each problem

The lines of 69 and 78 are plain text, `llmctl-server: ...`; everything else on stderr is one JSON object a line.
"""

from __future__ import annotations

import time

_BEGAN = time.monotonic()

import logging  # noqa: E402 - the clock of the start runs before anything is imported
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402

from llmctl_server.errors import ExitCode, StartError  # noqa: E402
from llmctl_server.settings import Settings, SettingsError  # noqa: E402


def main() -> int:
    """Run the server to its end and return the exit code."""
    # Until the server has its own handlers there is nothing to drain.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os._exit(ExitCode.OK))
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        return _refuse(error.problems, ExitCode.CONFIG)
    from llmctl_server import logs
    from llmctl_server.serve import run
    from llmctl_server.state import State

    logs.configure(settings.log_level, replica=settings.replica, release=settings.release)
    state = State(began=_BEGAN, drain_delay=settings.drain_delay, grace=settings.grace)
    state.phases["import"] = round(time.monotonic() - _BEGAN, 4)
    try:
        run(settings, state)
    except StartError as error:
        return _refuse(error.lines, error.exit_code)
    except Exception:
        logging.getLogger("llmctl_server").exception("the server failed")
        return ExitCode.INTERNAL
    return ExitCode.OK


def _refuse(lines: tuple[str, ...], code: ExitCode) -> int:
    for line in lines:
        sys.stderr.write(f"llmctl-server: {line}\n")
    return code


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    if any(thread.daemon and thread.is_alive() for thread in threading.enumerate()):
        # A worker inside the model's native code would be torn down by the interpreter and abort the process.
        os._exit(code)
    sys.exit(code)
