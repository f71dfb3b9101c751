"""Rows of the VADER ground truth, made into labelled texts and split into train, validation and test.

The four sources hold 23,703 snippets with the mean rating of at least 20 people on a scale of -4 to +4. Stages:
`read_rows` (parse), `examples` (drop the undecided and duplicates), `split` (by a hash, so that the same
text lands on the same side whatever else is in the set).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from llmctl_model import fetch
from llmctl_model.errors import DataError

CITATION = (
    "Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for Sentiment Analysis of "
    "Social Media Text. Eighth International Conference on Weblogs and Social Media (ICWSM-14). "
    "Ann Arbor, MI, June 2014."
)
MOVIE, AMAZON, NYT, TWEETS = "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets", "tweets"
_GROUPED = frozenset({AMAZON, NYT})  # their ids are document_sentence
_MAX_BAD_SHARE = 0.001  # the real files have no bad row; one in a thousand says the format changed
_SPLIT_SEED = "0"
_NOT_WORD = re.compile(r"\W+")


@dataclass(frozen=True)
class DataSet:
    """Which rows make a set.

    Attributes:
        name: how reports call it.
        thresholds: source -> smallest absolute rating that is *not* kept; the order decides which of two
            duplicates stays.
    """

    name: str
    thresholds: Mapping[str, float]


MOVIE_SET = DataSet("movie", MappingProxyType({MOVIE: 0.0}))
FOUR_SOURCES = DataSet("four sources", MappingProxyType(dict.fromkeys((MOVIE, AMAZON, NYT, TWEETS), 0.5)))
# What the shipped model learns from: every movie text of `MOVIE_SET`, and of the others those of `FOUR_SOURCES`.
TRAINING_SET = DataSet("training", MappingProxyType({**FOUR_SOURCES.thresholds, MOVIE: 0.0}))
TRAINING_RULE = (
    "A text is positive if its mean rating is above 0, negative if below; left out are zeros, outside the movie "
    "snippets also ratings up to 0.5 either way, and repeated texts. About 80 % of the texts train, 10 % choose "
    "the epoch, 10 % test, by a hash of the text (of the whole document, where there are documents)."
)


@dataclass(frozen=True)
class Row:
    """One line of a ground-truth file: id, mean rating in -4..4, text."""

    source: str
    id: str
    rating: float
    text: str


@dataclass(frozen=True)
class Example:
    """One rated text; `group` decides its side of the split."""

    text: str
    rating: float
    group: str

    @property
    def label(self) -> int:
        """What the text counts as: 1 positive, 0 negative."""
        return int(self.rating > 0)

    @property
    def target(self) -> float:
        """What the model is to say: the sigmoid of the rating.

        The raters' doubt is worth learning. Trained on bare labels the same network was sure of nine texts in ten
        and wrong on every seventh of those; trained on this it is right about as often as it is sure.
        """
        return 1 / (1 + math.exp(-self.rating))


@dataclass(frozen=True)
class Split:
    """A set cut into its three parts."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]


def load(archive: Path, wanted: DataSet) -> Split:
    """Read a set from the fetched archive and split it.

    Args:
        archive: what `fetch.fetch` returned.
        wanted: the set.

    Returns:
        The three parts.

    Raises:
        DataError: too many lines of a source are not rows.
        FetchError: the archive lacks a source.
    """
    rows: list[Row] = []
    for source in wanted.thresholds:
        rows += read_rows(source, fetch.read_member(archive, f"{source}_GroundTruth.txt"))
    return split(examples(rows, wanted.thresholds))


def read_rows(source: str, content: str) -> list[Row]:
    r"""Parse a ground-truth file: id, rating and text separated by tabs, one row a line.

    Args:
        source: the name of the source.
        content: the whole file, lines ended by `\n` (some texts hold U+0085, which is no line end here).

    Returns:
        The rows, in the file's order; up to one line in a thousand may be malformed and is left out.

    Raises:
        DataError: more lines than that are malformed.
    """
    lines = [line for line in content.split("\n") if line]
    rows = [row for row in (_parse(source, line) for line in lines) if row is not None]
    bad = len(lines) - len(rows)
    if not rows or bad > _MAX_BAD_SHARE * len(lines):
        raise DataError(
            f"{source} is not a ground-truth file",
            f"{bad} of {len(lines)} lines are not `id, rating in -4..4, text`",
            "delete the cached archive and run again",
        )
    return rows


def examples(rows: Iterable[Row], thresholds: Mapping[str, float]) -> list[Example]:
    """Choose the rows to use, leaving out undecided ratings and all but the first of equal texts.

    Args:
        rows: rows of any sources, in the order that decides between duplicates.
        thresholds: source -> absolute rating up to which a row is undecided.

    Returns:
        The rated texts, in order.
    """
    seen: set[str] = set()
    kept: list[Example] = []
    for row in rows:
        if abs(row.rating) <= thresholds[row.source]:
            continue
        key = duplicate_key(row.text)
        if key in seen:
            continue
        seen.add(key)
        # Sentences of one document share its topic and words, so a document never lies on two sides.
        group = f"{row.source}{row.id.split('_')[0]}" if row.source in _GROUPED else key
        kept.append(Example(row.text, row.rating, group))
    return kept


def split(labelled: Iterable[Example]) -> Split:
    """Cut into about 80 % train, 10 % validation and 10 % test, by a hash of each example's group."""
    train: list[Example] = []
    validation: list[Example] = []
    test: list[Example] = []
    for example in labelled:
        place = split_place(example.group)
        (test if place < 0.1 else validation if place < 0.2 else train).append(example)
    return Split(tuple(train), tuple(validation), tuple(test))


def split_place(group: str) -> float:
    """Where a group falls in [0, 1), in steps of a thousandth; the same on every machine."""
    digest = hashlib.md5(f"{_SPLIT_SEED}{group}".encode(), usedforsecurity=False).hexdigest()
    return (int(digest, 16) % 1000) / 1000


def duplicate_key(text: str) -> str:
    """What makes two texts the same: their words, in lower case."""
    return _NOT_WORD.sub(" ", text.lower()).strip()


def _parse(source: str, line: str) -> Row | None:
    fields = line.split("\t")
    if len(fields) != 3 or not fields[2].strip():
        return None
    try:
        rating = float(fields[1])
    except ValueError:
        return None
    # Written so that NaN, which compares false with everything, is refused too.
    return Row(source, fields[0], rating, fields[2]) if -4 <= rating <= 4 else None
