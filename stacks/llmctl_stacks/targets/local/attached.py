"""The provider of the local target, attached to the engine while an operation lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmctl_image.bundle import BundleError, Writer, write_bundle
from llmctl_infra.errors import ResourceError
from llmctl_infra.local.provider import handlers
from llmctl_infra.provider.host import ProviderHost


@dataclass(frozen=True)
class LocalProvider:
    """A running provider host, as the verbs see it."""

    host: ProviderHost

    @property
    def ports(self) -> Mapping[str, int]:
        """Loopback port by package name."""
        return {self.host.package: self.host.port}

    @property
    def failures(self) -> Mapping[str, ResourceError]:
        """Why resources failed, by URN."""
        return self.host.failures

    def find(self, type_token: str, inputs: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        """The resource that a create with `inputs` would make, when it is there already."""
        return self.host.find(type_token, inputs)


@contextmanager
def local_provider() -> Iterator[LocalProvider]:
    """Serve the handlers of the local target."""
    cancelled = threading.Event()
    with ProviderHost(handlers(_pack, cancelled=cancelled), cancelled=cancelled) as host:
        yield LocalProvider(host)


def _pack(folder: Path, sink: Writer) -> None:
    try:
        write_bundle(folder, sink)
    except BundleError as error:
        raise ResourceError(error.what, error.why, error.fix) from error
