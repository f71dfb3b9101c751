"""Starts one model server: opens the sealed model into memory and becomes the server.

`python -m llmctl_infra.local.worker FILE` reads what to start from a private JSON file (`Launch`), checks and
decrypts the model into a file that exists in memory only, and replaces itself by the server, which inherits that
file. Nothing secret is on the command line, in the supervisor's configuration, or on the disk in clear.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.kms_file import load_kms_key
from llmctl_infra.local.sealed import unseal

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h, as the server ends when it is started wrongly
MODEL_FD_VARIABLE = "LLMCTL_MODEL_FD"


@dataclass(frozen=True)
class Launch:
    """What to start.

    Attributes:
        module: Python module that is the server.
        model: name that the model was sealed under.
        object_path: of the sealed model.
        digest: of the model's tar.
        kms_key_path: file of the master key.
        environment: the server's settings and secrets.
    """

    module: str
    model: str
    object_path: str
    digest: str
    kms_key_path: str
    environment: Mapping[str, str] = field(repr=False)

    def text(self) -> str:
        """The launch as a file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def load(cls, path: Path) -> Launch:
        """Read the file.

        Raises:
            ResourceError: when it is missing or damaged.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise ResourceError(f"cannot read {path}", type(error).__name__, "run `llmctl up`") from error


def open_model(launch: Launch) -> int:
    """Decrypt the model into memory.

    Returns:
        An inheritable file descriptor at the start of the bundle's tar.

    Raises:
        ResourceError: when the object or the key is missing, damaged or does not fit.
    """
    key = load_kms_key(Path(launch.kms_key_path))
    descriptor = _anonymous_file(launch.model)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        unseal(Path(launch.object_path), launch.model, key, launch.digest, file.write)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.set_inheritable(descriptor, True)
    return descriptor


def main(arguments: list[str]) -> NoReturn:
    """Become the server; exit with 78 and one line when that cannot be."""
    try:
        launch = Launch.load(Path(arguments[0]))
        descriptor = open_model(launch)
    except ResourceError as error:
        moment = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": "error", "message": str(error), "fix": error.fix}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.exit(EXIT_CONFIG)
    environment = {**os.environ, **launch.environment, MODEL_FD_VARIABLE: str(descriptor)}
    os.execve(sys.executable, [sys.executable, "-P", "-m", launch.module], environment)  # noqa: S606 - no shell


def _anonymous_file(name: str) -> int:
    """A file without a name: in memory on Linux, elsewhere private and unlinked before anything is written."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    descriptor, path = tempfile.mkstemp(prefix="llmctl-")
    Path(path).unlink()
    return descriptor


if __name__ == "__main__":
    main(sys.argv[1:])
