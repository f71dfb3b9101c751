"""Aligned columns and short durations: plain text that survives a pipe and `awk`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """Align the cells of `rows` two spaces apart; the last cell of a row is not padded.

    Cells are printed by `str`; None prints as `-`. Rows may be shorter than others. Colour takes no room.
    """
    table = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    count = max((len(row) for row in table), default=0)
    widths = [max((_width(row[i]) for row in table if i < len(row) - 1), default=0) for i in range(count)]
    return [
        "  ".join([*(_pad(cell, width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
        for row in table
    ]


def _width(cell: str) -> int:
    return len(_STYLE.sub("", cell))


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def seconds(value: float | None) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h10m`, `3d04h`; `-` for None."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f}s"
    whole = round(value)
    for size, unit, below, size_below in ((86400, "d", "h", 3600), (3600, "h", "m", 60), (60, "m", "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // size_below:02d}{below}"
    return f"{whole}s"
