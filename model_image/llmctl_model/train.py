"""Train the classifier: AdamW, warm-up and linear decay, clipped gradients, and stop before it learns by heart.

Stages of `train`: build from the seed -> epochs of length-bucketed batches -> after each, accuracy on validation
-> keep the best weights, stop when they get no better.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional

from llmctl_model.batching import bucketed, by_length, drop_words, pad
from llmctl_model.errors import TrainingError
from llmctl_model.evaluate import accuracy
from llmctl_model.model import Classifier, ModelArgs


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        seed: decides the first weights, dropout and the order of the batches.
        batch_size: texts per step.
        rate: the learning rate between warm-up and decay.
        weight_decay: of AdamW.
        warmup_steps: steps over which the rate rises.
        planned_epochs: where the decay of the rate ends; more than will be run.
        patience: stop after so many epochs without a better validation accuracy.
        word_dropout: in training a token becomes [UNK] with this probability.
        clip: the largest norm of the gradient.
    """

    seed: int = 0
    batch_size: int = 32
    rate: float = 3e-4
    weight_decay: float = 0.01
    warmup_steps: int = 400
    planned_epochs: int = 6
    patience: int = 2
    word_dropout: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True)
class Encoded:
    """Some texts in numbers.

    Attributes:
        ids: the token ids of each.
        targets: what the model is to say of each, in 0..1.
        labels: what each counts as, 0 or 1.
    """

    ids: Sequence[Sequence[int]]
    targets: Sequence[float]
    labels: Sequence[int]


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did; loss and `train_accuracy` are measured on the way, under dropout."""

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A trained model (the weights of its best epoch, in evaluation mode) and how it got there."""

    model: Classifier
    epochs: tuple[EpochReport, ...]
    best_epoch: int


def train(
    training: Encoded,
    validation: Encoded,
    args: ModelArgs,
    recipe: Recipe,
    on_epoch: Callable[[EpochReport], None],
) -> Trained:
    """Train until validation gets no better.

    Args:
        training: the texts to learn from.
        validation: the texts that choose the epoch.
        args: the size of the model.
        recipe: how to train.
        on_epoch: called after each epoch.

    Returns:
        The model of the best epoch.

    Raises:
        TrainingError: the loss is not a number any more.
    """
    torch.manual_seed(recipe.seed)
    run = _Run(Classifier(args), training, recipe)
    reports: list[EpochReport] = []
    best, best_weights = EpochReport(0, math.inf, 0.0, -1.0, 0.0), run.model.state_dict()
    for epoch in range(1, recipe.planned_epochs + 1):
        started = perf_counter()
        loss, learned = run.epoch(epoch)
        reached = accuracy(predict(run.model, validation.ids), validation.labels)
        reports.append(EpochReport(epoch, loss, learned, reached, perf_counter() - started))
        on_epoch(reports[-1])
        if reached > best.validation_accuracy:
            best, best_weights = reports[-1], copy.deepcopy(run.model.state_dict())
        elif epoch - best.epoch >= recipe.patience:
            break
    run.model.load_state_dict(best_weights)
    return Trained(run.model.eval(), tuple(reports), best.epoch)


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Rate of a step (from 0): a linear rise under a linear fall that ends at 2 %."""
    rise = (step + 1) / recipe.warmup_steps
    fall = max(0.02, 1 - step / total_steps)
    return recipe.rate * min(rise, fall)


def predict(model: Classifier, ids: Sequence[Sequence[int]]) -> list[float]:
    """Probability that each text is positive, in float32, in the order of `ids`."""
    model.eval()
    answers = [0.0] * len(ids)
    with torch.inference_mode():
        for batch in by_length(ids):
            for index, p in zip(batch, model(pad([ids[i] for i in batch])).sigmoid().tolist(), strict=True):
                answers[index] = p
    return answers


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; without that, autocast is slower than float32."""
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


class _Run:
    """The state of one training run: model, optimizer, order and step."""

    def __init__(self, model: Classifier, training: Encoded, recipe: Recipe) -> None:
        self.model = model
        self.training = training
        self.recipe = recipe
        self.order = random.Random(recipe.seed)  # noqa: S311  # an order to learn in, not a secret
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.total_steps = recipe.planned_epochs * math.ceil(len(training.ids) / recipe.batch_size)
        self.step = 0
        self.bfloat16 = has_bfloat16()

    def epoch(self, number: int) -> tuple[float, float]:
        """Run over the training texts once; returns mean loss and accuracy."""
        self.model.train()
        losses, hits, size = 0.0, 0, len(self.training.ids)
        for batch in bucketed(self.training.ids, self.recipe.batch_size, self.order):
            targets = torch.tensor([self.training.targets[i] for i in batch])  # [B]
            logits, loss = self._update(pad([self.training.ids[i] for i in batch]), targets)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training stopped at epoch {number}, step {self.step}",
                    f"the loss is {loss}",
                    "lower the rate of the recipe, or look at the texts of that step",
                )
            losses += loss * len(batch)
            hits += sum((z > 0) == bool(self.training.labels[i]) for z, i in zip(logits, batch, strict=True))
            self.step += 1
        return losses / size, hits / size

    def _update(self, ids: Tensor, targets: Tensor) -> tuple[list[float], float]:
        """Take one step on ids [B, T] and targets [B]; returns B logits and the loss, both of before the step."""
        rate = learning_rate(self.step, self.total_steps, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits: Tensor = self.model(drop_words(ids, self.recipe.word_dropout))
        # In float32: bfloat16 has three digits, too few for a logarithm near zero.
        logits = logits.float()
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        return logits.tolist(), loss.item()
