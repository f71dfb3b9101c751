"""Rows are read, labelled, made unique and split by the rules that the model card states."""

import pytest

from llmctl_model import data
from llmctl_model.data import (
    AMAZON,
    MOVIE,
    NYT,
    TWEETS,
    Row,
    duplicate_key,
    examples,
    read_rows,
    split,
    split_place,
)
from llmctl_model.errors import DataError


def row(text: str, rating: float = 2.0, source: str = MOVIE, row_id: str = "1") -> Row:
    return Row(source, row_id, rating, text)


def test_a_line_is_id_rating_and_text() -> None:
    assert read_rows(TWEETS, "7\t-1.25\tso sad &amp; late :(\n") == [
        Row(TWEETS, "7", -1.25, "so sad &amp; late :(")
    ]


def test_a_next_line_character_inside_a_text_does_not_end_the_row() -> None:
    rows = read_rows(MOVIE, "1\t1\tfine\x85 really\n2\t-1\tdull\x1c\x0b film\n")
    assert [each.text for each in rows] == ["fine\x85 really", "dull\x1c\x0b film"]


BAD_LINES = ["2\t1", "2\t1\ta\tb", "2\tnice\ta", "2\t4.5\ta", "2\tnan\ta", "2\t1\t "]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_one_malformed_line_in_two_is_refused_and_counted(bad: str) -> None:
    with pytest.raises(DataError, match="1 of 2 lines are not"):
        read_rows(MOVIE, f"1\t1\tgood\n{bad}\n")


@pytest.mark.parametrize("bad", BAD_LINES)
def test_one_malformed_line_in_a_thousand_is_left_out(bad: str) -> None:
    good = "".join(f"{i}\t1\tgood {i}\n" for i in range(999))
    assert len(read_rows(MOVIE, f"{good}{bad}\n")) == 999


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DataError, match="0 of 0 lines"):
        read_rows(MOVIE, "")


def test_the_label_is_the_sign_and_the_undecided_are_left_out() -> None:
    rows = [row("a", 0.5), row("b", 0.51), row("c", -0.5), row("d", -0.51), row("e", 0.0)]
    assert [(e.text, e.label) for e in examples(rows, {MOVIE: 0.5})] == [("b", 1), ("d", 0)]
    assert [(e.text, e.label) for e in examples(rows, {MOVIE: 0.0})] == [("a", 1), ("b", 1), ("c", 0), ("d", 0)]


def test_the_target_is_the_sigmoid_of_the_rating() -> None:
    targets = [e.target for e in examples([row("a", 4.0), row("b", 0.5), row("c", -0.5)], {MOVIE: 0.0})]
    assert targets == pytest.approx([0.9820, 0.6225, 0.3775], abs=1e-4)


def test_of_equal_words_the_first_row_stays_also_across_sources() -> None:
    rows = [row("Great -- film!"), row("great film", -3.0), row("GREAT, film", source=TWEETS), row("great films")]
    kept = examples(rows, {MOVIE: 0.0, TWEETS: 0.0})
    assert [(e.text, e.label) for e in kept] == [("Great -- film!", 1), ("great films", 1)]


def test_an_undecided_row_does_not_displace_a_decided_duplicate() -> None:
    assert len(examples([row("fine", 0.1), row("fine", 2.0)], {MOVIE: 0.5})) == 1


def test_the_duplicate_key_keeps_words_of_every_alphabet() -> None:
    assert duplicate_key("  Café—\tDÉJÀ vu, 2x_3 ") == "café déjà vu 2x_3"


def test_sentences_of_one_document_lie_on_one_side() -> None:
    rows = [row(f"sentence {i}", source=source, row_id=f"12_{i}") for source in (AMAZON, NYT) for i in range(20)]
    groups = {e.group for e in examples([*rows[:20]], {AMAZON: 0.0})}
    assert groups == {f"{AMAZON}12"}
    parts = split(examples(rows[20:], {NYT: 0.0}))
    assert sorted(map(len, (parts.train, parts.validation, parts.test))) == [0, 0, 20]


def test_the_place_of_a_text_never_moves() -> None:
    # Worked out with md5sum: a change of the rule would mix old test texts into new training texts.
    assert split_place("good film") == 0.088
    assert split_place("caf\xe9") == 0.07


def test_about_a_tenth_goes_to_test_and_to_validation() -> None:
    parts = split(examples([row(f"text {i}") for i in range(5000)], {MOVIE: 0.0}))
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 5000
    assert 430 < len(parts.test) < 570
    assert 430 < len(parts.validation) < 570
    assert all(split_place(e.group) >= 0.2 for e in parts.train)
    assert all(split_place(e.group) < 0.1 for e in parts.test)


def test_the_training_set_holds_every_movie_text_and_the_decided_others() -> None:
    assert dict(data.TRAINING_SET.thresholds) == {MOVIE: 0.0, AMAZON: 0.5, NYT: 0.5, TWEETS: 0.5}
