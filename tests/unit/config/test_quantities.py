"""Durations and sizes are read with their unit and print to a text that reads to the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmctl_stacks.config import Duration, Size
from llmctl_stacks.config.quantities import DURATION_UNITS, SIZE_UNITS

amounts = st.integers(min_value=0, max_value=10**15)


@given(amounts)
def test_a_printed_duration_reads_to_the_same(milliseconds: int) -> None:
    assert Duration.parse(str(Duration(milliseconds))) == Duration(milliseconds)


@given(amounts)
def test_a_printed_size_reads_to_the_same(count: int) -> None:
    assert Size.parse(str(Size(count))) == Size(count)


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from(sorted(DURATION_UNITS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert Duration.parse(f"{number}{unit}").milliseconds == number * DURATION_UNITS[unit]


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from(sorted(SIZE_UNITS)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert Size.parse(f"{number}{unit}").bytes == number * SIZE_UNITS[unit]


@given(st.text(alphabet="0123456789smhdkKiBMx .-+", max_size=8))
def test_whatever_is_read_prints_to_the_same_and_anything_else_is_a_value_error(text: str) -> None:
    for kind in (Duration, Size):
        try:
            read = kind.parse(text)
        except ValueError:
            continue
        assert kind.parse(str(read)) == read


@pytest.mark.parametrize(
    ("text", "printed"),
    [("90s", "90s"), ("60s", "1m"), ("1h30m", "90m"), ("24h", "1d"), ("0ms", "0s"), ("1500ms", "1500ms")],
)
def test_a_duration_prints_in_the_largest_unit_that_divides_it(text: str, printed: str) -> None:
    assert str(Duration.parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "printed"), [("1024KiB", "1MiB"), ("1000kB", "1MB"), ("1MiB1B", "1048577B"), ("0MB", "0B")]
)
def test_a_size_prints_in_the_largest_unit_that_divides_it(text: str, printed: str) -> None:
    assert str(Size.parse(text)) == printed


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "1.5s", "5 s", "30m1h", "1m1m", "٣s", "1e3s"])
def test_a_text_that_could_be_misread_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must be|must name|has the unknown unit)"):
        Duration.parse(text)


def test_seconds_and_days_are_what_programs_need() -> None:
    assert Duration.parse("1m500ms").seconds == 60.5
    assert Duration.parse("36h").days == 1.5
