"""Accuracy and its yardsticks, worked out by hand."""

import pytest

from llmctl_model.evaluate import Agreement, accuracy, agreement, calibration_error, majority, standard_error


def test_accuracy_cuts_at_one_half() -> None:
    assert accuracy([0.9, 0.5, 0.4, 0.6], [1, 0, 1, 1]) == 0.75


def test_the_majority_is_that_of_the_training_texts() -> None:
    assert majority([1, 1, 0], [0, 0, 0, 1]) == 0.25
    assert majority([0, 0, 1], [0, 0, 0, 1]) == 0.75


def test_agreement_counts_answers_and_measures_probabilities() -> None:
    found = agreement([0.2, 0.6, 0.9], [0.3, 0.4, 0.9])
    assert found == Agreement(pytest.approx(2 / 3), pytest.approx(0.1), pytest.approx(0.2))


def test_calibration_is_perfect_when_certainty_is_the_share_of_right_answers() -> None:
    assert calibration_error([0.75, 0.75, 0.25, 0.25], [1, 1, 0, 1]) == pytest.approx(0.0)
    assert calibration_error([1.0, 0.0], [1, 0]) == 0.0


def test_calibration_measures_each_certainty_by_itself() -> None:
    # Sure (0.95) and always wrong, unsure (0.55) and always right: the gaps do not cancel.
    assert calibration_error([0.95, 0.55], [0, 1]) == pytest.approx((0.95 + 0.45) / 2)


def test_the_standard_error_of_a_coin_on_a_hundred_texts_is_five_points() -> None:
    assert standard_error(0.5, 100) == pytest.approx(0.05)
