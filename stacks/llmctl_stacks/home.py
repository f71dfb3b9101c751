"""Where llmctl keeps what it must remember: one private folder per user.

`LLMCTL_HOME`, else the XDG data folder. Layout::

    <home>/
      engine/                              the managed Pulumi CLI
      pulumi/                              PULUMI_HOME of every engine run
      passphrase                           0600, encrypts the secrets in state
      state/                               `file://` state of the engine
      work/<project>-<layer>/<stack>/      Pulumi.yaml and Pulumi.<stack>.yaml
      locks/<project>/<stack>.lock         the lease of a running operation
      stacks/<project>/<stack>/            what the local target provisions: store, keys, logs, sockets
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmctl_stacks.errors import PreflightError, UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]|[a-z]")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it is safe as a file name and a resource name.

    Raises:
        UsageError: when it holds anything but lower-case letters, digits and dashes, or is over 40 long.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{kind} name {name!r} is not allowed",
            "use 1 to 40 lower-case letters, digits and dashes, starting with a letter, not ending with a dash",
        )
    return name


@dataclass(frozen=True)
class Home:
    """The folders of one user of llmctl. Constructing it touches nothing."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`LLMCTL_HOME`, else `$XDG_DATA_HOME/llmctl`, else `~/.local/share/llmctl`; always absolute."""
        if chosen := os.environ.get("LLMCTL_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(data).expanduser().absolute() / "llmctl")

    @property
    def engine(self) -> Path:
        """Folder of managed engine binaries, shared by all stacks."""
        return self.root / "engine"

    @property
    def pulumi(self) -> Path:
        """PULUMI_HOME: plugins, workspaces, credentials."""
        return self.root / "pulumi"

    @property
    def state(self) -> Path:
        """Root of the engine's `file://` backend."""
        return self.root / "state"

    def work(self, pulumi_project: str, stack: str) -> Path:
        """Folder that holds `Pulumi.yaml` and `Pulumi.<stack>.yaml` of one Pulumi stack."""
        return self.root / "work" / pulumi_project / stack

    def lock(self, project: str, stack: str) -> Path:
        """File that a running operation on the stack holds."""
        return self.root / "locks" / project / f"{stack}.lock"

    def stack(self, project: str, stack: str) -> Path:
        """Folder of what the local target provisions for the stack."""
        return self.root / "stacks" / project / stack

    def ensure(self) -> None:
        """Create the private root folder.

        Raises:
            PreflightError: when it cannot be created or written to.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise PreflightError(
                f"cannot write to {self.root}",
                error.strerror or str(error),
                "set LLMCTL_HOME to a folder that you can write to",
            ) from error

    def passphrase(self) -> str:
        """The passphrase that encrypts secrets in state: from the environment, else a 0600 file made once.

        Raises:
            PreflightError: when the file is readable by others or cannot be made.
        """
        for name in ("LLMCTL_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE"):
            if (given := os.environ.get(name)) is not None:
                return given
        path = self.root / "passphrase"
        self.ensure()
        if not path.exists():
            # Written elsewhere first: whoever finds the file finds it whole, and the first of two writers wins.
            with tempfile.NamedTemporaryFile("w", dir=self.root, prefix=".passphrase-") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):
                    path.hardlink_to(file.name)
        if path.stat().st_mode & 0o077:
            raise PreflightError(
                f"{path} can be read by others", "it encrypts the secrets in state", f"chmod 600 {path}"
            )
        return path.read_text().strip()
