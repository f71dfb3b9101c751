"""Training learns, stops when it should, repeats itself, and says at which step it broke."""

import math
import random

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from llmctl_model.errors import TrainingError  # noqa: E402  # after the check that torch is there
from llmctl_model.evaluate import accuracy  # noqa: E402
from llmctl_model.model import ModelArgs  # noqa: E402
from llmctl_model.train import Encoded, EpochReport, Recipe, Trained, learning_rate, predict, train  # noqa: E402

SMALL = ModelArgs(vocab_size=60, max_tokens=20, d_model=32, n_heads=2, n_layers=2, d_ff=64, dropout=0.0)


def texts(seed: int, count: int) -> Encoded:
    """Random words with random labels: nothing to learn but the texts themselves."""
    chance = random.Random(seed)
    ids = [[chance.randrange(2, 60) for _ in range(chance.randrange(3, 15))] for _ in range(count)]
    labels = [i % 2 for i in range(count)]
    return Encoded(ids, [float(label) for label in labels], labels)


def run(recipe: Recipe, training: Encoded | None = None, validation: Encoded | None = None) -> Trained:
    training = training or texts(0, 32)
    return train(training, validation or training, SMALL, recipe, lambda _: None)


def test_a_few_texts_are_learnt_by_heart() -> None:
    by_heart = Recipe(rate=3e-3, warmup_steps=10, planned_epochs=60, patience=60, word_dropout=0.0, batch_size=8)
    training = texts(0, 32)
    trained = run(by_heart, training)
    assert accuracy(predict(trained.model, training.ids), training.labels) == 1.0
    assert trained.epochs[-1].loss < 0.1


def test_training_stops_when_validation_gets_no_better_and_returns_the_best_weights() -> None:
    seen: list[EpochReport] = []
    training, validation = texts(0, 32), texts(1, 40)
    recipe = Recipe(rate=3e-3, warmup_steps=10, planned_epochs=50, patience=3, batch_size=8)
    trained = train(training, validation, SMALL, recipe, seen.append)
    assert tuple(seen) == trained.epochs
    assert [each.epoch for each in seen] == list(range(1, trained.best_epoch + 3 + 1))
    best = max(each.validation_accuracy for each in seen)
    assert seen[trained.best_epoch - 1].validation_accuracy == best
    assert accuracy(predict(trained.model, validation.ids), validation.labels) == best
    assert not trained.model.training


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    short = Recipe(planned_epochs=2, batch_size=8)
    first, again = (predict(run(short).model, texts(0, 32).ids) for _ in range(2))
    other = predict(run(Recipe(planned_epochs=2, batch_size=8, seed=1)).model, texts(0, 32).ids)
    assert first == again
    assert first != other


def test_a_loss_that_is_no_number_stops_training_and_names_the_step() -> None:
    diverging = Recipe(rate=math.inf, warmup_steps=1, planned_epochs=2, batch_size=8)
    with pytest.raises(TrainingError, match="training stopped at epoch 1, step 1: the loss is nan"):
        run(diverging)


def test_the_rate_rises_over_the_warm_up_then_falls_to_two_per_cent() -> None:
    recipe = Recipe(rate=1.0, warmup_steps=100)
    rates = [learning_rate(step, 1000, recipe) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(0.909, abs=0.01)
    assert 85 < rates.index(max(rates)) < 95
    assert rates[500] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.02)
