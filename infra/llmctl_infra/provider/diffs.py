"""What a handler says of differences, in the engine's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2

from llmctl_infra.provider.handler import Diff

_Kind = provider_pb2.PropertyDiff


def diff_response(
    diff: Diff, changed: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]
) -> provider_pb2.DiffResponse:
    """The engine's form of `diff`.

    Args:
        diff: what the handler said.
        changed: its changed paths, and any that the handler does not know of.
        old: recorded inputs, to tell an addition from a change.
        new: wanted inputs.
    """
    top = {path: path.split(".", 1)[0].split("[", 1)[0] for path in changed}
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted(set(top.values())),
        replaces=list(diff.replace),
        deleteBeforeReplace=diff.delete_before_replace and bool(diff.replace),
        hasDetailedDiff=True,
        detailedDiff={path: _property_diff(path, path in diff.replace, old, new) for path in changed},
    )


def _property_diff(path: str, replace: bool, old: Mapping[str, Any], new: Mapping[str, Any]) -> _Kind:
    if path in new and path not in old:
        kind = _Kind.ADD_REPLACE if replace else _Kind.ADD
    elif path in old and path not in new:
        kind = _Kind.DELETE_REPLACE if replace else _Kind.DELETE
    else:
        kind = _Kind.UPDATE_REPLACE if replace else _Kind.UPDATE
    return _Kind(kind=kind, inputDiff=True)
