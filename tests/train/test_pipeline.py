"""From a downloaded archive to a bundle, in small: made-up texts that are easy to tell apart."""

import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

from llmctl_image.bundle import bundle_digest  # noqa: E402  # after the check that torch is there
from llmctl_model import __main__ as entry  # noqa: E402
from llmctl_model import card, fetch, pipeline, reproduce  # noqa: E402
from llmctl_model.data import AMAZON, MOVIE, NYT, TWEETS  # noqa: E402
from llmctl_model.errors import DataError, ExportError, TrainingError  # noqa: E402
from llmctl_model.model import ModelArgs  # noqa: E402
from llmctl_model.train import Recipe  # noqa: E402
from support.archives import tar_gz  # noqa: E402

SMALL = ModelArgs(vocab_size=200, max_tokens=30, d_model=32, n_heads=2, n_layers=1, d_ff=64, dropout=0.0)
SHORT = Recipe(rate=3e-3, warmup_steps=5, planned_epochs=3)


def ground_truth(source: str) -> bytes:
    chance = random.Random(source)
    lines = []
    for i in range(150):
        word, rating = chance.choice([("lovely", 2.5), ("awful", -2.5)])
        filler = " ".join(f"{source[:2]}{chance.randrange(40)}" for _ in range(chance.randrange(3, 9)))
        lines.append(f"{i}_1\t{rating}\t{filler} {word} {i}\n")
    return "".join(lines).encode()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    inner = {f"hutto_ICWSM_2014/{s}_GroundTruth.txt": ground_truth(s) for s in (MOVIE, AMAZON, NYT, TWEETS)}
    content = tar_gz({"vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz": tar_gz(inner)})
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / fetch.ARCHIVE).write_bytes(content)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the entry point train the small model."""
    build, check = pipeline.build, reproduce.check
    monkeypatch.setattr(pipeline, "build", lambda *a: build(*a[:3], SMALL, SHORT))
    monkeypatch.setattr(reproduce, "check", lambda *a: check(*a[:4], SMALL, SHORT))


def test_a_bundle_holds_four_files_and_a_card_of_what_was_measured(cache: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    made = pipeline.build(cache, tmp_path / "out" / "bundle", lines.append, SMALL, SHORT)
    bundle = tmp_path / "out" / "bundle"
    assert sorted(p.name for p in bundle.iterdir()) == [
        "README.md",
        "model.onnx",
        "model_card.json",
        "tokenizer.json",
    ]
    assert [p.name for p in bundle.parent.iterdir()] == ["bundle"]
    assert json.loads((bundle / "model_card.json").read_text()) == made == card.read(bundle)
    assert made["created"] == "2023-11-14"
    assert made["accuracy"]["movie"]["int8"] == made["accuracy"]["movie"]["bag_of_words"] == 1.0
    assert made["training"]["recipe"]["rate"] == 3e-3
    assert len([line for line in lines if line.startswith("epoch ")]) == len(made["training"]["epochs"])
    reproduce.verify_files(bundle, made)


def test_building_twice_gives_the_same_model(cache: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        pipeline.build(cache, tmp_path / name, lambda _: None, SMALL, SHORT)
        # How long it took is the one thing that differs.
        for file in ("model_card.json", "README.md"):
            (tmp_path / name / file).unlink()
    assert bundle_digest(tmp_path / "first") == bundle_digest(tmp_path / "second")


def test_a_model_that_learned_nothing_leaves_the_old_bundle_alone(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.onnx").write_text("old")
    with pytest.raises(TrainingError, match=r"not good enough on (movie|four sources)"):
        pipeline.build(cache, tmp_path / "out", lambda _: None, SMALL, replace(SHORT, rate=0.0, planned_epochs=1))
    assert [(p.name, p.read_text()) for p in (tmp_path / "out").iterdir()] == [("model.onnx", "old")]


def measured(**changes: float) -> card.Measured:
    good = card.Measured(1000, 0.8, 0.8, 0.8, 0.01, 0.02, 0.5, 0.8, 1.0, 0.001, 0.01)
    return replace(good, **changes)


@pytest.mark.parametrize("changes", [{"int8": 0.79}, {"same_answers": 0.98}])
def test_a_model_that_quantization_damaged_is_refused(changes: dict[str, float]) -> None:
    pipeline.require_quality({"movie": measured()})
    with pytest.raises(ExportError, match="8-bit integers damage the model on movie"):
        pipeline.require_quality({"movie": measured(**changes)})


def test_the_command_writes_json_to_stdout_and_progress_to_stderr(
    cache: Path, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["--cache", str(cache), "--out", str(tmp_path / "out")]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == card.read(tmp_path / "out")
    assert streams.err.splitlines()[0].startswith("training on ")
    assert streams.err.splitlines()[-1] == f"wrote {tmp_path / 'out'}"


def test_check_compares_the_shipped_and_a_new_model_with_the_card(
    cache: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped, argv = tmp_path / "shipped", ["--check", "--cache", str(cache), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(entry, "_SHIPPED", (shipped,))
    pipeline.build(cache, shipped, lambda _: None)
    assert entry.main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["what"] for each in found] == [
        "movie, shipped",
        "four sources, shipped",
        "movie, trained again",
        "four sources, trained again",
    ]
    assert all(each["holds"] for each in found)

    boast = card.read(shipped)
    boast["accuracy"]["movie"]["int8"] = 0.9
    (shipped / "model_card.json").write_text(json.dumps(boast))
    assert entry.main(argv) == 6
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "error: movie, shipped: accuracy 1.0000, the card says 0.9000",
        "error: movie, trained again: accuracy 1.0000, the card says 0.9000",
    ]


def test_check_refuses_a_file_that_is_not_the_cards(cache: Path, tmp_path: Path) -> None:
    pipeline.build(cache, tmp_path / "shipped", lambda _: None, SMALL, SHORT)
    shutil.copy(tmp_path / "shipped" / "tokenizer.json", tmp_path / "shipped" / "model.onnx")
    with pytest.raises(DataError, match=r"model\.onnx is not the file of the card"):
        reproduce.check(cache, tmp_path / "shipped", tmp_path / "out", lambda _: None, SMALL, SHORT)


def test_a_failed_stage_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small: None
) -> None:
    (tmp_path / fetch.ARCHIVE).write_bytes(b"something else")
    assert entry.main(["--cache", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    (line,) = streams.err.splitlines()
    assert line.startswith("error: ")
    assert "is not the data set" in line
