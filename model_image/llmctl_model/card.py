"""The model card: what was measured, as `model_card.json` for programs and `README.md` for people.

The README is written from the JSON alone, so the two never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from llmctl_model.data import CITATION
from llmctl_model.errors import DataError

SCHEMA = 1
TOLERANCE = 0.02
CARD_FILE, README_FILE = "model_card.json", "README.md"
COMMAND = "python -m llmctl_model"

_USE = (
    "Telling positive from negative in one short English text: a review snippet, a comment, a sentence. "
    "It is the model that llmctl deploys when a configuration names no other."
)
_LIMITS = (
    "English only; other languages are mostly [UNK] and the answer means nothing.",
    "Two labels: neutral, mixed, ironic and factual texts get one of them too.",
    "Trained and measured on texts of about 20 words, none above 200 tokens. Up to 1000 tokens are accepted; how "
    "good the answers on long texts are was not measured.",
    "Words outside the 10,000 of the vocabulary are one token, [UNK]; rare names and new slang are not seen.",
    "A bag of words with logistic regression is at least as accurate (see the table): without pretraining, a "
    "model of this kind does no better on texts so few and so short.",
    "The ratings are of 2013; mentions of groups of people may carry the prejudices of writers and raters. Not "
    "for decisions about people.",
    "8-bit activations are scaled by the largest value in the batch, so a probability moves slightly with the "
    "texts it is batched with.",
)


@dataclass(frozen=True)
class Measured:
    """Accuracy on one test set.

    Attributes:
        test_texts: size of the test set.
        validation: accuracy of the float32 model on the set's validation part.
        float32: accuracy of the trained model.
        int8: accuracy of the shipped file.
        standard_error: of `int8`, from the size of the test set.
        calibration_error: of `int8`: mean gap between how sure it is and how often it is right.
        majority: accuracy of always giving the more frequent label.
        bag_of_words: accuracy of TF-IDF and logistic regression trained on the same texts.
        same_answers: share of test texts on which int8 and float32 agree.
        mean_difference: between their probabilities.
        max_difference: between their probabilities.
    """

    test_texts: int
    validation: float
    float32: float
    int8: float
    standard_error: float
    calibration_error: float
    majority: float
    bag_of_words: float
    same_answers: float
    mean_difference: float
    max_difference: float


@dataclass(frozen=True)
class Card:
    """Everything that the card says and that is not the same for every run.

    Attributes:
        created: the day, ISO.
        architecture: sizes of the model, and `parameters`.
        data: source, hash, rule, counts.
        training: recipe, epochs, seconds, versions, processor.
        accuracy: set name -> what was measured on it.
        files: file name -> `sha256:…`.
    """

    created: str
    architecture: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    accuracy: Mapping[str, Measured]
    files: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The card as it is written to `model_card.json`."""
        return {
            "schema": SCHEMA,
            "name": "attention",
            "task": "text-classification",
            "labels": ["negative", "positive"],
            "max_tokens": self.architecture["max_tokens"],
            "input": {"name": "ids", "type": "int64", "shape": ["b", "t"], "padding": 0},
            "output": {"name": "p", "type": "float32", "shape": ["b"], "meaning": "probability of positive"},
            "licence": "Apache-2.0",
            "created": self.created,
            "architecture": dict(self.architecture),
            "data": {**self.data, "citation": CITATION},
            "training": {"command": COMMAND, **self.training},
            "accuracy": {name: asdict(measured) for name, measured in self.accuracy.items()},
            "reproduction": {"command": f"{COMMAND} --check", "tolerance": TOLERANCE},
            "intended_use": _USE,
            "limits": list(_LIMITS),
            "files": dict(self.files),
        }


def write(card: Card, folder: Path) -> None:
    """Write both forms of the card into a bundle."""
    content = card.as_json()
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / README_FILE).write_text(readme(content), encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Read the card of a bundle.

    Raises:
        DataError: there is none, or one of another schema.
    """
    path = folder / CARD_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", str(error), f"export the model with `{COMMAND}`") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"cannot read {path}", f"not a card of schema {SCHEMA}", f"export again with `{COMMAND}`")
    return content


def readme(card: Mapping[str, Any]) -> str:
    """The card for people, in Markdown, from its JSON form."""
    training, data, size = card["training"], card["data"], card["architecture"]
    return _README.substitute(
        name=card["name"],
        created=card["created"],
        use=card["intended_use"],
        limits="\n".join(f"- {limit}" for limit in card["limits"]),
        accuracy="\n".join(_accuracy_row(name, row) for name, row in card["accuracy"].items()),
        calibration=", ".join(
            f"{row['calibration_error']:.3f} on {name}" for name, row in card["accuracy"].items()
        ),
        quantization="\n".join(_quantization_row(name, row) for name, row in card["accuracy"].items()),
        tolerance=card["reproduction"]["tolerance"],
        check=card["reproduction"]["command"],
        command=training["command"],
        recipe=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in training["recipe"].items()),
        epochs="\n".join(_epoch_row(epoch) for epoch in training["epochs"]),
        best_epoch=training["best_epoch"],
        seconds=round(training["seconds"]),
        environment=", ".join(f"{key} {value}" for key, value in training["environment"].items()),
        parameters=f"{size['parameters']:,}",
        layers=size["n_layers"],
        heads=size["n_heads"],
        d_model=size["d_model"],
        d_ff=size["d_ff"],
        vocab_size=f"{size['vocab_size']:,}",
        max_tokens=size["max_tokens"],
        source=data["source"],
        sha256=data["sha256"],
        rule=data["rule"],
        citation=data["citation"],
        texts=", ".join(f"{count:,} {part}" for part, count in data["texts"].items()),
        files="\n".join(f"| `{name}` | `{digest}` |" for name, digest in card["files"].items()),
        licence=card["licence"],
    )


def _accuracy_row(name: str, row: Mapping[str, Any]) -> str:
    cells = [f"{row[key]:.4f}" for key in ("majority", "bag_of_words", "float32", "int8", "standard_error")]
    return f"| {name} ({row['test_texts']:,} texts) | {' | '.join(cells)} |"


def _quantization_row(name: str, row: Mapping[str, Any]) -> str:
    lost = 100 * (row["float32"] - row["int8"])
    same, mean, most = (row[key] for key in ("same_answers", "mean_difference", "max_difference"))
    return f"| {name} | {lost:+.2f} points | {same:.4f} | {mean:.4f} | {most:.4f} |"


def _epoch_row(row: Mapping[str, Any]) -> str:
    cells = [f"{row[key]:.4f}" for key in ("loss", "train_accuracy", "validation_accuracy")]
    return f"| {row['epoch']} | {' | '.join(cells)} |"


_README = Template("""\
---
license: apache-2.0
language: en
pipeline_tag: text-classification
---

# $name: a small sentiment classifier

A Transformer encoder with $parameters parameters ($layers layers, $heads heads, width $d_model, $d_ff inside, a
vocabulary of $vocab_size words, at most $max_tokens tokens), trained from nothing. It gives the probability that
an English text is positive. Made on $created by `$command`; every number below was measured in that run.

## Intended use

$use

## Accuracy

Share of right answers on texts the model never saw.

| test set | majority class | TF-IDF + logistic regression | float32 | **int8, as shipped** | standard error |
|---|---|---|---|---|---|
$accuracy

The bag of words was trained on the same texts. Two standard errors are what a difference must exceed to mean much.

The model learns the sigmoid of the mean rating (-4 to +4), and so the raters' doubt: of the answers it gives with
a certainty of 0.8, about 80 % should be right. The mean gap between certainty and share of right answers:
$calibration.

## Loss by quantization

What is shipped is the float32 model with its matrices in 8-bit integers.

| test set | accuracy lost | same answers | mean difference of probability | largest |
|---|---|---|---|---|
$quantization

## Limits

$limits

## Data

$texts texts from the source package `$source` (sha256 `$sha256`): four kinds of
snippets, each rated by at least 20 people. $rule

The texts are not part of this bundle; the training command downloads them. Please cite:

> $citation

## Training

`$command`, $seconds seconds. Recipe: $recipe. The weights are those of epoch $best_epoch, the best on validation.

| epoch | loss | accuracy in training | accuracy on validation |
|---|---|---|---|
$epochs

Made with $environment.

`$check` trains again and compares: the accuracy on each test set must lie within $tolerance of the one above.
Equal bits are not promised: on another processor, or with another number of threads, sums come in another order.

## Files and licence

| file | hash |
|---|---|
$files

Weights, vocabulary and this card: $licence.
""")
