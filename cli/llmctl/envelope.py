"""The JSON that llmctl writes: every document says its schema version and its kind.

`{"schema": 1, "kind": "Status", …}`. A field is never renamed or removed within a schema version; new
ones may appear. `docs/reference/output.schema.json` describes every kind.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

SCHEMA = 1


def wrap(result: object) -> dict[str, Any]:
    """Return the document of a result dataclass: its fields after `schema` and `kind`."""
    if not dataclasses.is_dataclass(result) or isinstance(result, type):
        raise TypeError(f"{type(result).__name__} is not a result")
    return {"schema": SCHEMA, "kind": type(result).__name__, **dataclasses.asdict(result)}


def dumps(result: object, *, lines: bool = False) -> str:
    """Return the document as JSON text: indented, or on one line for NDJSON."""
    return json.dumps(wrap(result), ensure_ascii=False, indent=None if lines else 2)
