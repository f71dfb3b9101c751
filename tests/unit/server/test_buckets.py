from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from llmctl_server.buckets import MAX_PADDED_TOKENS, RUN_COST_TOKENS, cut

LENGTHS = st.lists(st.integers(1, 1200), max_size=200)


@given(LENGTHS)
def test_every_text_is_in_exactly_one_bucket(lengths: list[int]) -> None:
    assert sorted(index for bucket in cut(lengths) for index in bucket) == list(range(len(lengths)))


@given(LENGTHS)
def test_no_bucket_of_several_texts_exceeds_the_padded_tokens(lengths: list[int]) -> None:
    for bucket in cut(lengths):
        longest = max(lengths[index] for index in bucket)
        assert len(bucket) == 1 or longest * len(bucket) <= MAX_PADDED_TOKENS


@given(LENGTHS)
def test_padding_never_costs_more_than_the_runs_it_saves(lengths: list[int]) -> None:
    for bucket in cut(lengths):
        found = [lengths[index] for index in bucket]
        padding = max(found) * len(found) - sum(found)
        assert padding <= RUN_COST_TOKENS * (len(found) - 1)


@given(LENGTHS)
def test_short_texts_are_answered_first(lengths: list[int]) -> None:
    order = [lengths[index] for bucket in cut(lengths) for index in bucket]

    assert order == sorted(order)


@given(LENGTHS)
def test_a_text_is_refused_by_a_bucket_only_for_a_reason(lengths: list[int]) -> None:
    for bucket, following in itertools.pairwise(cut(lengths)):
        first = lengths[following[0]]
        too_many = (len(bucket) + 1) * first > MAX_PADDED_TOKENS
        assert too_many or len(bucket) * (first - lengths[bucket[-1]]) > RUN_COST_TOKENS


def test_texts_of_one_length_share_a_run() -> None:
    assert cut([20] * 64) == [list(range(64))]


def test_a_text_beyond_the_cap_runs_alone() -> None:
    assert cut([5000, 5000], max_padded=4096) == [[0], [1]]


def test_a_short_text_does_not_share_with_a_long_one() -> None:
    assert cut([300, 20]) == [[1], [0]]


def test_nothing_makes_no_bucket() -> None:
    assert cut([]) == []
