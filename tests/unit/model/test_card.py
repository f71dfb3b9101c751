"""The card says what was measured, and the README says what the card says."""

import json
from pathlib import Path

import pytest

from llmctl_image import bundle
from llmctl_model import card
from llmctl_model.errors import DataError

MEASURED = card.Measured(1070, 0.79, 0.7841, 0.7832, 0.0126, 0.0312, 0.5084, 0.7935, 0.9972, 0.0016, 0.025)
CARD = card.Card(
    created="2026-01-02",
    architecture={
        "vocab_size": 10_000,
        "max_tokens": 1000,
        "d_model": 512,
        "n_heads": 2,
        "n_layers": 2,
        "d_ff": 2048,
        "dropout": 0.3,
        "parameters": 11_425_281,
    },
    data={"source": "vaderSentiment==2.5", "sha256": "b96", "rule": "A rule.", "texts": {"training": 15563}},
    training={
        "recipe": {"seed": 0, "weight_decay": 0.01},
        "epochs": [{"epoch": 1, "loss": 0.5, "train_accuracy": 0.7, "validation_accuracy": 0.75, "seconds": 30.0}],
        "best_epoch": 1,
        "seconds": 30.4,
        "environment": {"torch": "2.13.0", "threads": 2},
    },
    accuracy={"movie": MEASURED},
    files={"model.onnx": "sha256:ab"},
)


def test_what_is_written_is_read_back_here_and_by_the_finder_of_bundles(tmp_path: Path) -> None:
    card.write(CARD, tmp_path)
    assert card.read(tmp_path) == CARD.as_json() == bundle.read_card(tmp_path)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        card.write(CARD, tmp_path / name)
    assert bundle.bundle_digest(tmp_path / "first") == bundle.bundle_digest(tmp_path / "second")


@pytest.mark.parametrize(
    "line",
    [
        "| movie (1,070 texts) | 0.5084 | 0.7935 | 0.7841 | 0.7832 | 0.0126 |",
        "0.031 on movie.",
        "| movie | +0.09 points | 0.9972 | 0.0016 | 0.0250 |",
        "| 1 | 0.5000 | 0.7000 | 0.7500 |",
        "| `model.onnx` | `sha256:ab` |",
        "A Transformer encoder with 11,425,281 parameters",
        "Recipe: seed 0, weight decay 0.01.",
        "Made with torch 2.13.0, threads 2.",
        "must lie within 0.02",
        "Hutto, C.J. & Gilbert, E.E. (2014)",
        "15,563 training texts from the source package `vaderSentiment==2.5`",
        "Apache-2.0",
    ],
)
def test_the_readme_says_what_the_card_says(line: str) -> None:
    assert line in card.readme(CARD.as_json())


def test_every_limit_is_in_the_readme() -> None:
    content = CARD.as_json()
    assert content["limits"]
    assert all(f"- {limit}" in card.readme(content) for limit in content["limits"])


@pytest.mark.parametrize("text", [None, "{", "[]", json.dumps({"schema": 2, "name": "attention"})])
def test_a_missing_broken_or_foreign_card_is_an_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "model_card.json").write_text(text)
    with pytest.raises(DataError, match=r"cannot read .*model_card\.json") as caught:
        card.read(tmp_path)
    assert "python -m llmctl_model" in caught.value.fix
