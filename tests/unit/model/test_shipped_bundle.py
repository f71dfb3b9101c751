"""The bundle in the repository: whole, as good as promised, and the same answer in every company."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from llmctl_image.bundle import builtin
from llmctl_model import card
from llmctl_model.tokenizer import encode

FOLDER = builtin("builtin://attention")
INT8_TOLERANCE = 0.05  # activations are scaled by the largest of the batch, padding included

Ask = Callable[[Sequence[Sequence[int]]], list[float]]

TEXTS = [
    "A masterpiece.",
    "The plot is thin, but the two leads make every minute of it worth your while.",
    "Dull, predictable and far too long.",
    "I have been using this camera for three weeks now and the battery still lasts all day, which is more than I "
    "can say for the one before; the pictures are sharp, the menus are clear, and it fits into a pocket.",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@pytest.fixture(scope="module")
def ask() -> Ask:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def run(batch: Sequence[Sequence[int]]) -> list[float]:
        longest = max(map(len, batch))
        ids = np.array([[*each, *[0] * (longest - len(each))] for each in batch], dtype=np.int64)
        (p,) = session.run(["p"], {"ids": ids})
        return [float(each) for each in p]

    return run


def test_the_bundle_holds_the_model_the_words_and_both_cards() -> None:
    assert sorted(p.name for p in FOLDER.iterdir()) == [
        "README.md",
        "model.onnx",
        "model_card.json",
        "tokenizer.json",
    ]


def test_the_files_are_those_of_the_card() -> None:
    files = card.read(FOLDER)["files"]
    assert set(files) == {"model.onnx", "tokenizer.json"}
    for name, digest in files.items():
        assert digest == f"sha256:{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}"


def test_the_readme_is_that_of_the_card() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == card.readme(card.read(FOLDER))


def test_the_accuracy_is_as_promised() -> None:
    accuracy = card.read(FOLDER)["accuracy"]
    assert accuracy["movie"]["int8"] >= 0.77
    assert accuracy["four sources"]["int8"] >= 0.78
    for row in accuracy.values():
        assert row["float32"] - row["int8"] <= 0.005
        assert row["same_answers"] >= 0.99
        assert row["calibration_error"] < 0.06
        assert row["majority"] < 0.6 < row["bag_of_words"]


def test_the_model_takes_ids_and_gives_a_probability_a_text(ask: Ask) -> None:
    session = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"), providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("ids", "tensor(int64)", ["b", "t"])
    assert (returned.name, returned.type, returned.shape) == ("p", "tensor(float)", ["b"])
    assert all(0 < p < 1 for p in ask([[1], [2, 3]]))


def test_the_files_hold_no_path_of_the_machine_that_made_them() -> None:
    content = b"".join(path.read_bytes() for path in FOLDER.iterdir())
    assert not any(place in content for place in (b"/home/", b"/root/", b"/tmp/", b"/Users/", b"site-packages"))


def test_the_answer_does_not_depend_on_padding_nor_on_the_rest_of_the_batch(
    ask: Ask, tokenizer: Tokenizer
) -> None:
    batch = encode(tokenizer, TEXTS)
    alone = [ask([ids])[0] for ids in batch]
    padded = [ask([[*ids, *[0] * 100]])[0] for ids in batch]
    assert padded == pytest.approx(alone, abs=INT8_TOLERANCE)
    assert ask(batch) == pytest.approx(alone, abs=INT8_TOLERANCE)


def test_the_longest_text_and_the_empty_one_have_an_answer(ask: Ask, tokenizer: Tokenizer) -> None:
    longest, empty = encode(tokenizer, ["good film " * 800, ""])
    assert (len(longest), empty) == (1000, [1])
    assert all(0 < ask([ids])[0] < 1 for ids in (longest, empty))


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("A beautiful, moving film with wonderful performances.", True),
        ("One of the best movies of the year.", True),
        ("I love this phone, it works great!", True),
        ("An enjoyable and funny comedy.", True),
        ("A dull, boring and predictable mess.", False),
        ("The worst film I have ever seen.", False),
        ("I hate this phone, it broke after a day.", False),
        ("A terrible waste of time.", False),
    ],
)
def test_a_plain_opinion_is_understood(ask: Ask, tokenizer: Tokenizer, text: str, positive: bool) -> None:
    (p,) = ask(encode(tokenizer, [text]))
    assert (p > 0.5) == positive
