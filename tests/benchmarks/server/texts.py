"""The bodies of the load: S, real movie snippets, and L, long texts of lognormal length made of snippets.

The snippets are those that the shipped model was trained on, when they can be had; else words drawn from the
model's own vocabulary in sentences of the same lengths. The benchmark says which.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

SHORT, LONG = 2000, 1000
_SEED = 3


def snippets(bundle: Path) -> tuple[list[str], str]:
    """Short texts, and where they come from."""
    try:
        from llmctl_model import data, fetch

        rows = data.load(fetch.fetch(fetch.cache_folder()), data.MOVIE_SET)
    except Exception as error:  # noqa: BLE001 - whatever keeps the data away, the load can still be made
        return _made_up(bundle), f"words of the vocabulary ({type(error).__name__}: no data set)"
    return [each.text for each in (*rows.train, *rows.validation, *rows.test)], "movie review snippets"


def short(texts: list[str]) -> list[str]:
    """S: snippets without replacement, 22.7 tokens on average."""
    return random.Random(_SEED).sample(texts, SHORT)


def long(texts: list[str]) -> list[str]:
    """L: snippets joined and cut to min(1000, max(10, lognormal(ln 175, 0.75))) words."""
    chance = random.Random(_SEED)
    made = []
    for _ in range(LONG):
        length = min(1000, max(10, math.floor(chance.lognormvariate(math.log(175), 0.75))))
        words: list[str] = []
        while len(words) < length:
            words += chance.choice(texts).split()
        made.append(" ".join(words[:length]))
    return made


def write(texts: list[str], path: Path) -> Path:
    """Write one JSON body a line. Some long texts exceed the limit by their punctuation: they are to be cut."""
    bodies = (json.dumps({"text": text, "truncate": True}) for text in texts)
    path.write_text("\n".join(bodies), encoding="utf-8")
    return path


def _made_up(bundle: Path) -> list[str]:
    vocabulary = json.loads((bundle / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    words = [word for word in vocabulary if word.isalpha()]
    chance = random.Random(_SEED)
    # Ranks follow Zipf's law roughly, as words of a language do; 19 words are the mean of a snippet.
    return [
        " ".join(
            words[min(len(words) - 1, int(chance.paretovariate(0.6)))]
            for _ in range(max(3, round(chance.gauss(21, 10))))
        )
        for _ in range(2 * SHORT)
    ]
