"""What the gateway remembers between commands: its port, and which process of it is the current one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from llmctl_infra.local.admin import Admin
from llmctl_infra.local.files import write_private
from llmctl_infra.local.paths import StackPaths


@dataclass(frozen=True)
class GatewayRecord:
    """The current gateway process.

    Attributes:
        generation: counts the processes; a change that Envoy cannot read while it runs needs a new one.
        host: address that it listens on.
        port: port that it listens on.
        sockets: folder of its admin socket.
    """

    generation: int
    host: str
    port: int
    sockets: str

    @property
    def address(self) -> tuple[str, int]:
        """Where a client on this machine reaches it; an address that means all becomes a loopback one."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port  # noqa: S104 - not bound

    @property
    def url(self) -> str:
        """Its URL for clients on this machine."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def is_serving(self) -> bool:
        """Whether it is ready and listens on its address."""
        return self.admin.is_ready() and self.admin.listens(self.host, self.port)

    @property
    def program(self) -> str:
        """Its name in the supervisor."""
        return f"gateway-{self.generation}"

    @property
    def admin_socket(self) -> str:
        """Unix socket of its admin interface."""
        return str(Path(self.sockets) / f"{self.program}.sock")

    @property
    def admin(self) -> Admin:
        """Its admin interface."""
        return Admin(self.admin_socket)


def load_gateway(paths: StackPaths) -> GatewayRecord | None:
    """The record, or None when there is no gateway (or its record is damaged, which counts as none)."""
    try:
        return GatewayRecord(**json.loads(_file(paths).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def save_gateway(paths: StackPaths, record: GatewayRecord) -> None:
    """Remember `record`."""
    write_private(_file(paths), json.dumps(asdict(record)) + "\n")


def _file(paths: StackPaths) -> Path:
    return paths.gateway / "record.json"
