"""The real data set is what the card says: every row, every set, every part."""

from pathlib import Path

import pytest

from llmctl_model import fetch, tokenizer
from llmctl_model.data import (
    AMAZON,
    FOUR_SOURCES,
    MOVIE,
    MOVIE_SET,
    NYT,
    TRAINING_SET,
    TWEETS,
    DataSet,
    duplicate_key,
    load,
    read_rows,
)

pytestmark = pytest.mark.train
SOURCES = (MOVIE, AMAZON, NYT, TWEETS)


@pytest.mark.parametrize(
    ("source", "rows", "positive", "negative"),
    [
        (MOVIE, 10_605, 5_242, 5_326),
        (AMAZON, 3_708, 2_128, 1_482),
        (NYT, 5_190, 2_204, 2_742),
        (TWEETS, 4_200, 2_897, 1_299),
    ],
)
def test_every_row_of_a_source_is_read(
    archive: Path, source: str, rows: int, positive: int, negative: int
) -> None:
    content = fetch.read_member(archive, f"{source}_GroundTruth.txt")
    read = read_rows(source, content)
    assert len(read) == rows == content.count("\n") + (not content.endswith("\n"))
    assert (sum(r.rating > 0 for r in read), sum(r.rating < 0 for r in read)) == (positive, negative)


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [
        (MOVIE_SET, (8_432, 1_064, 1_070)),
        (DataSet(AMAZON, {AMAZON: 0.0}), (2_897, 363, 331)),
        (DataSet(NYT, {NYT: 0.0}), (3_842, 551, 491)),
        (DataSet(TWEETS, {TWEETS: 0.0}), (3_255, 388, 399)),
        (DataSet("all ratings", dict.fromkeys(SOURCES, 0.0)), (18_420, 2_366, 2_290)),
        (FOUR_SOURCES, (15_144, 1_902, 1_877)),
        (TRAINING_SET, (15_563, 1_956, 1_929)),
    ],
    ids=lambda value: value.name if isinstance(value, DataSet) else "",
)
def test_a_set_has_the_sizes_of_the_card(archive: Path, wanted: DataSet, sizes: tuple[int, int, int]) -> None:
    parts = load(archive, wanted)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == sizes


def test_no_text_of_a_test_set_was_trained_on(archive: Path) -> None:
    seen = {duplicate_key(e.text) for e in load(archive, TRAINING_SET).train}
    for measured in (MOVIE_SET, FOUR_SOURCES):
        assert not seen & {duplicate_key(e.text) for e in load(archive, measured).test}


def test_the_vocabulary_covers_all_but_a_few_words(archive: Path) -> None:
    parts = load(archive, MOVIE_SET)
    words = tokenizer.learn([e.text for e in parts.train], 10_000, 1000)
    assert words.get_vocab_size() == 10_000
    for texts, share in ((parts.train, 0.032), (parts.test, 0.061)):
        tokens = [i for ids in tokenizer.encode(words, [e.text for e in texts]) for i in ids]
        assert tokens.count(tokenizer.UNK_ID) / len(tokens) == pytest.approx(share, abs=0.001)


def test_the_shipped_vocabulary_is_that_of_the_training_texts(archive: Path) -> None:
    shipped = Path(__file__).parents[2] / "model_image" / "models" / "attention" / "tokenizer.json"
    learned = tokenizer.learn([e.text for e in load(archive, TRAINING_SET).train], 10_000, 1000)
    assert tokenizer.Tokenizer.from_file(str(shipped)).get_vocab() == learned.get_vocab()
