"""Which texts may share one run of the model.

A run pads every text to the longest in it, so a long text beside short ones makes the short ones as dear as
itself. Texts are therefore sorted by length and cut where the next one would cost too much.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_PADDED_TOKENS = 4096
"""Cap of texts x longest text in one run. It bounds the memory that the engine's arena keeps."""

STRETCH = 1.25
SLACK = 8
"""The longest text of a bucket has at most STRETCH x the shortest + SLACK tokens."""


def cut(lengths: Sequence[int], max_padded: int = MAX_PADDED_TOKENS) -> list[list[int]]:
    """Cut texts into buckets, shortest first.

    Args:
        lengths: tokens of each text.
        max_padded: most padded tokens of one bucket; a single text may always exceed it.

    Returns:
        Buckets of indexes into `lengths`: every index in exactly one bucket, lengths ascending.
    """
    buckets: list[list[int]] = []
    bucket: list[int] = []
    shortest = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        fits = (len(bucket) + 1) * length <= max_padded and length <= STRETCH * shortest + SLACK
        if bucket and fits:
            bucket.append(index)
        else:
            bucket = [index]
            shortest = length
            buckets.append(bucket)
    return buckets
