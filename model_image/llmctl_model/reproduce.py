"""Can the shipped model be made again? Measure it, train anew, and compare both with the shipped card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from llmctl_model import card, evaluate, export, fetch, pipeline
from llmctl_model.data import load
from llmctl_model.errors import DataError
from llmctl_model.model import ModelArgs
from llmctl_model.train import Recipe

_SHIPPED_TOLERANCE = 0.005  # the same file on another processor: rounding only


@dataclass(frozen=True)
class Comparison:
    """One number measured now beside the shipped card's."""

    what: str
    shipped: float
    measured: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two are within the tolerance."""
        return abs(self.measured - self.shipped) <= self.tolerance


def check(
    cache: Path,
    shipped: Path,
    out: Path,
    say: pipeline.Say,
    args: ModelArgs = pipeline.SIZE,
    recipe: Recipe = pipeline.RECIPE,
) -> list[Comparison]:
    """Measure the shipped bundle, train again, and compare both with the shipped card.

    Args:
        cache: where downloads are kept.
        shipped: the bundle to compare with.
        out: where the newly trained bundle goes.
        say: takes a line about progress.
        args: the size of the model.
        recipe: how to train it.

    Returns:
        A comparison for each test set, of the shipped model and of the new one.

    Raises:
        ModelError: any stage failed, or the shipped files are not those that its card names.
    """
    claimed = card.read(shipped)
    verify_files(shipped, claimed)
    archive = fetch.fetch(cache)
    running = export.session(shipped / pipeline.MODEL_FILE)
    words = Tokenizer.from_file(str(shipped / pipeline.TOKENIZER_FILE))
    now: dict[str, float] = {}
    for each in pipeline.MEASURED_SETS:
        test = pipeline.encode(words, load(archive, each).test)
        now[each.name] = evaluate.accuracy(export.predict(running, test.ids), test.labels)
    again = pipeline.build(cache, out, say, args, recipe)["accuracy"]
    was = {name: row["int8"] for name, row in claimed["accuracy"].items()}
    return [Comparison(f"{name}, shipped", was[name], now[name], _SHIPPED_TOLERANCE) for name in now] + [
        Comparison(f"{name}, trained again", was[name], again[name]["int8"], card.TOLERANCE) for name in now
    ]


def verify_files(folder: Path, claimed: Mapping[str, Any]) -> None:
    """Compare the files of a bundle with the hashes in its card.

    Raises:
        DataError: a file is missing or is another one.
    """
    for name, digest in claimed["files"].items():
        found = pipeline.file_hash(folder / name) if (folder / name).exists() else "missing"
        if found != digest:
            raise DataError(f"{folder / name} is not the file of the card", f"{found}, not {digest}", "restore it")
