"""The effective configuration of a stack, for people and for `--output json`."""

from __future__ import annotations

import re
from typing import Any

from llmctl_stacks.config.emit import emit
from llmctl_stacks.config.load import Loaded
from llmctl_stacks.config.nodes import dotted
from llmctl_stacks.config.plain import leaves, plain
from llmctl_stacks.config.references import is_template

_SECRET_NAME = re.compile(r"(.*_)?(TOKEN|SECRET|PASSWORD|PASSWD|KEY|CREDENTIALS?)", re.IGNORECASE)
_MASK = "***"


def show(loaded: Loaded, *, origin: bool = False) -> dict[str, Any]:
    """What the target consumes, defaults included; references as written, never what they stand for.

    Args:
        loaded: the configuration.
        origin: give `{"value": …, "origin": "stacks/prod.yaml:14"}` by dotted key instead of the tree.
    """
    if not origin:
        return _masked(loaded)
    values = {dotted(path): value for path, value in leaves(_masked(loaded))}
    return {key: {"value": value, "origin": str(loaded.origins[key])} for key, value in values.items()}


def show_yaml(loaded: Loaded, *, origin: bool = False) -> str:
    """`show` as a YAML document, which loads to the same configuration; origins are comments."""
    if not origin:
        return emit(_masked(loaded))
    return emit(_masked(loaded), lambda path: str(loaded.origins[dotted(path)]))


def _masked(loaded: Loaded) -> dict[str, Any]:
    """The configuration as plain data; what is written under the name of a secret is masked."""
    data = plain(loaded.config)
    environment = data["server"]["environment"]
    for name, value in environment.items():
        if _SECRET_NAME.fullmatch(name) and not is_template(value):
            environment[name] = _MASK
    return data
