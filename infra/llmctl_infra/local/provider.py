"""All handlers of the local target, by type token."""

from __future__ import annotations

import threading
from typing import Final

from llmctl_infra.local.api_key import ApiKey
from llmctl_infra.local.gateway import Gateway
from llmctl_infra.local.kms_key import KmsKey
from llmctl_infra.local.model import Model, Pack
from llmctl_infra.local.model_store import ModelStore
from llmctl_infra.local.request_log import RequestLog
from llmctl_infra.local.servers import Servers
from llmctl_infra.local.supervisor import Supervisor
from llmctl_infra.provider.handler import Handler

SERVER_MODULE: Final = "llmctl_server"


def handlers(
    pack: Pack, server_module: str = SERVER_MODULE, cancelled: threading.Event | None = None
) -> dict[str, Handler]:
    """The handlers, for `provider.host.ProviderHost`.

    Args:
        pack: writes the deterministic tar of a bundle's folder; what it raises should be a `ResourceError`.
        server_module: Python module that is the model server.
        cancelled: the event that the host sets when the user interrupts; long waits then end early.
    """
    return {
        "llmctl:local:ApiKey": ApiKey(),
        "llmctl:local:Gateway": Gateway(cancelled),
        "llmctl:local:KmsKey": KmsKey(),
        "llmctl:local:Model": Model(pack),
        "llmctl:local:ModelStore": ModelStore(),
        "llmctl:local:RequestLog": RequestLog(),
        "llmctl:local:Servers": Servers(server_module, cancelled),
        "llmctl:local:Supervisor": Supervisor(),
    }
