"""How good a model is, beside the cheapest thing that could do the same.

An accuracy means something only next to the majority class and to a bag of words; both are measured here, on the
same texts and from the same training texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmctl_model.data import Example


@dataclass(frozen=True)
class Agreement:
    """How far answers moved, say by quantization.

    Attributes:
        same: share of texts with the same answer, cut at one half.
        mean_difference: of the probabilities, absolute.
        max_difference: of the probabilities, absolute.
    """

    same: float
    mean_difference: float
    max_difference: float


def accuracy(probabilities: Sequence[float], labels: Sequence[int]) -> float:
    """Share of right answers, cut at one half."""
    return sum((p > 0.5) == bool(y) for p, y in zip(probabilities, labels, strict=True)) / len(labels)


def calibration_error(probabilities: Sequence[float], labels: Sequence[int]) -> float:
    """How far the stated certainty lies from the share of right answers, on average over the texts.

    Certainty is the probability of the answer given, 0.5 to 1, in five bins of equal width. 0 is perfect.
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(5)]
    for p, label in zip(probabilities, labels, strict=True):
        certainty = max(p, 1 - p)
        bins[min(int((certainty - 0.5) * 10), 4)].append((certainty, (p > 0.5) == bool(label)))
    gaps = (abs(sum(certainty - right for certainty, right in each)) for each in bins)
    return sum(gaps) / len(labels)


def standard_error(share: float, texts: int) -> float:
    """How far a measured share lies from the true one, typically: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / texts)


def majority(training: Sequence[int], test: Sequence[int]) -> float:
    """Accuracy on `test` of always answering the label that is more frequent in `training`."""
    answer = int(sum(training) * 2 > len(training))
    return sum(label == answer for label in test) / len(test)


def agreement(before: Sequence[float], after: Sequence[float]) -> Agreement:
    """Compare the probabilities of two models on the same texts."""
    pairs = list(zip(before, after, strict=True))
    differences = [abs(a - b) for a, b in pairs]
    same = sum((a > 0.5) == (b > 0.5) for a, b in pairs) / len(pairs)
    return Agreement(same, sum(differences) / len(pairs), max(differences))


def bag_of_words(training: Sequence[Example], tests: Sequence[Sequence[Example]]) -> list[float]:
    """Train TF-IDF of words and word pairs into a logistic regression.

    Args:
        training: the texts to learn from.
        tests: sets of texts to answer.

    Returns:
        The accuracy on each of `tests`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=4.0, max_iter=300),
    )
    pipeline.fit([e.text for e in training], [e.label for e in training])
    return [float(pipeline.score([e.text for e in test], [e.label for e in test])) for test in tests]
