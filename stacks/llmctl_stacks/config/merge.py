"""The stack's file over the base file.

Mappings are merged key by key, lists are replaced, except `models` and `nodes`, whose entries are merged
by `name`. A key without a value, such as `gateway:` with every line below it commented out, changes
nothing; `null` takes back what the base file says, so that the default holds.
"""

from __future__ import annotations

from llmctl_stacks.config.nodes import Entries, Entry, Items, KeyPath, Node, Scalar

BY_NAME: frozenset[KeyPath] = frozenset({("models",), ("nodes",)})


def merge(base: Entries, over: Entries, path: KeyPath = ()) -> Entries:
    """Merge `over` into `base`; neither is changed. Places stay with the values they belong to."""
    merged = dict(base.entries)
    for name, entry in over.entries.items():
        below = base.entries.get(name)
        merged[name] = entry if below is None else _merge_entry(below, entry, (*path, name))
    return Entries(merged, over.place if over.entries else base.place)


def _merge_entry(base: Entry, over: Entry, path: KeyPath) -> Entry:
    """Merge two values of one key."""
    node: Node = over.node
    if isinstance(base.node, Entries):
        if isinstance(node, Entries):
            return Entry(over.place, merge(base.node, node, path))
        if isinstance(node, Scalar) and node.is_empty:
            return base
    if path in BY_NAME and isinstance(base.node, Items) and isinstance(node, Items):
        return Entry(over.place, _merge_items(base.node, node))
    return over


def _merge_items(base: Items, over: Items) -> Items:
    """Merge the entries of two lists by `name`; new ones go to the end, in their order."""
    merged = list(base.items)
    free = {name: index for index, item in enumerate(merged) if (name := _name(item)) is not None}
    for item in over.items:
        # An entry is merged once: a second one of its name stays apart, and is reported as a duplicate.
        index = free.pop(name, None) if (name := _name(item)) is not None else None
        below = merged[index] if index is not None else None
        if index is None or not isinstance(below, Entries) or not isinstance(item, Entries):
            merged.append(item)
        else:
            merged[index] = merge(below, item)
    return Items(tuple(merged), over.place)


def _name(node: Node) -> str | None:
    """The name of an entry, or None when it has none."""
    entry = node.entries.get("name") if isinstance(node, Entries) else None
    value = entry.node.value if entry and isinstance(entry.node, Scalar) else None
    return value if isinstance(value, str) else None
