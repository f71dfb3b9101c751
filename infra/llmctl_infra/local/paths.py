"""Where everything of a local stack is, below its root `<home>/stacks/<project>/<stack>`.

::

    kms.key  store/  requests.sqlite  keys/<name>      what `base` keeps
    supervisor/   supervisord.conf, programs/<name>.conf, record
    servers/      record, keys.json, endpoints/endpoints.json, environment/<server>.json
    gateway/      record, what Envoy reads
    logs/         <component>.log, rotated to .1, .2, ...

Sockets are elsewhere when the root's path is long: an address of a Unix socket holds about 100 bytes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from llmctl_infra.errors import ResourceError
from llmctl_infra.local.files import private_folder
from llmctl_infra.names import short_hash

_LONGEST_FOLDER = 64  # of 104 bytes on macOS; supervisor appends its process id to its socket's name


@dataclass(frozen=True)
class StackPaths:
    """The paths of one local stack. Constructing it touches nothing.

    Attributes:
        root: the stack's folder.
    """

    root: Path

    @property
    def kms_key(self) -> Path:
        """File of the master key."""
        return self.root / "kms.key"

    @property
    def store(self) -> Path:
        """Folder of the sealed models."""
        return self.root / "store"

    @property
    def request_log(self) -> Path:
        """SQLite file of the request log."""
        return self.root / "requests.sqlite"

    def api_key(self, name: str) -> Path:
        """File of an API key."""
        return self.root / "keys" / name

    @property
    def supervisor(self) -> Path:
        """Folder of the supervisor."""
        return self.root / "supervisor"

    @property
    def programs(self) -> Path:
        """Folder of what the supervisor keeps alive, a file each."""
        return self.supervisor / "programs"

    @property
    def servers(self) -> Path:
        """Folder of the servers."""
        return self.root / "servers"

    @property
    def endpoints(self) -> Path:
        """Envoy's endpoints file; alone in its folder, which Envoy watches."""
        return self.servers / "endpoints" / "endpoints.json"

    @property
    def gateway(self) -> Path:
        """Folder of the gateway."""
        return self.root / "gateway"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.root / "logs"

    @property
    def sockets(self) -> Path:
        """Private folder of the sockets: below the root, or a short one that is named after it."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= _LONGEST_FOLDER:
            return inside
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        short = runtime if runtime and len(runtime) <= _LONGEST_FOLDER - 24 else tempfile.gettempdir()
        return Path(short) / f"llmctl-{os.getuid()}-{short_hash(str(self.root), 12)}"


def private_sockets(folder: Path) -> Path:
    """Make the folder of the sockets.

    Raises:
        ResourceError: when somebody else made a folder of that name, which could be used to listen in.
    """
    private_folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ResourceError(
            f"{folder} is not a private folder of yours", "it is needed for sockets", "remove it, or set TMPDIR"
        )
    return folder
