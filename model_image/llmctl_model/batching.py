"""Texts of like length together, so that a batch is not mostly padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llmctl_model.tokenizer import PAD_ID, UNK_ID

_GROUP_BATCHES = 50  # lengths are sorted inside groups of so many batches: order for speed, chance for learning
_EVALUATION_BATCH = 64


def bucketed(ids: Sequence[Sequence[int]], batch_size: int, chance: random.Random) -> Iterator[list[int]]:
    """Cut the texts into batches for one epoch of training.

    Args:
        ids: the token ids of each text.
        batch_size: texts per batch; the last of a group may be smaller.
        chance: decides the order.

    Yields:
        Indices into `ids`; over the epoch each index comes once.
    """
    order = list(range(len(ids)))
    chance.shuffle(order)
    group = _GROUP_BATCHES * batch_size
    for start in range(0, len(order), group):
        near = sorted(order[start : start + group], key=lambda i: len(ids[i]))
        batches = [near[i : i + batch_size] for i in range(0, len(near), batch_size)]
        chance.shuffle(batches)
        yield from batches


def by_length(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Cut the texts into batches for evaluation: all sorted by length. Yields indices into `ids`."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for start in range(0, len(order), _EVALUATION_BATCH):
        yield order[start : start + _EVALUATION_BATCH]


def pad(ids: Sequence[Sequence[int]]) -> Tensor:
    """Make one int64 matrix [B, T] of texts, padded to the longest."""
    longest = max(len(each) for each in ids)
    return torch.tensor([[*each, *[PAD_ID] * (longest - len(each))] for each in ids])


def drop_words(ids: Tensor, probability: float) -> Tensor:
    """Turn each token of [B, T] into [UNK] with this probability; padding stays padding."""
    dropped = (torch.rand(ids.shape) < probability) & (ids != PAD_ID)
    return ids.masked_fill(dropped, UNK_ID)
