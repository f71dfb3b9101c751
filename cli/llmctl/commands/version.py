"""`llmctl version`: the versions that matter in a bug report."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from llmctl import __version__, kinds
from llmctl.options import verb
from llmctl.session import Session
from llmctl.table import columns
from llmctl_stacks.errors import EngineMissing

if TYPE_CHECKING:
    from llmctl_stacks.engine.cli import EngineBinary


@verb()
def version(session: Session) -> None:
    """Show the versions of llmctl, Python and the engine."""
    engine = _engine()
    found = kinds.Version(
        llmctl=__version__,
        python=platform.python_version(),
        engine_required=metadata.version("pulumi"),
        engine_version=engine.version if engine else None,
        engine_path=str(engine.path) if engine else None,
        platform=f"{platform.system()} {platform.machine()}",
    )
    rows = (
        ("llmctl", found.llmctl),
        ("python", found.python),
        ("engine", f"pulumi {found.engine_required}"),
        ("", found.engine_path or "not here yet; `llmctl doctor --fix` gets it"),
        ("platform", found.platform),
    )
    session.report(found, columns(rows))


def _engine() -> EngineBinary | None:
    """The Pulumi CLI that would be used."""
    from llmctl_stacks.engine.cli import find_cli
    from llmctl_stacks.home import Home

    try:
        return find_cli(Home.from_environment())
    except EngineMissing:
        return None
