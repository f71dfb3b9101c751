"""The exported file answers like the model it came from, for every batch and length."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from llmctl_model import export  # noqa: E402  # after the check that torch is there
from llmctl_model.batching import pad  # noqa: E402
from llmctl_model.errors import ExportError  # noqa: E402
from llmctl_model.model import Classifier, ModelArgs  # noqa: E402
from llmctl_model.train import predict  # noqa: E402

SMALL = ModelArgs(vocab_size=1000, max_tokens=120, d_model=64, n_heads=2, n_layers=2, d_ff=256)


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier(SMALL).eval()


@pytest.fixture(scope="module")
def exported(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export.to_onnx(model, path)
    return path


TEXTS = [[5], [7, 8, 9], [3] * 50, list(range(2, 90)), [11, 1] * 60]


def test_the_file_answers_like_the_model(model: Classifier, exported: Path) -> None:
    expected, found = predict(model, TEXTS), export.predict(export.session(exported), TEXTS)
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_file_takes_ids_and_gives_one_probability_a_text(exported: Path) -> None:
    running = export.session(exported)
    (given,), (returned,) = running.get_inputs(), running.get_outputs()
    assert (given.name, given.type, given.shape) == ("ids", "tensor(int64)", ["b", "t"])
    assert (returned.name, returned.type, returned.shape) == ("p", "tensor(float)", ["b"])
    (p,) = running.run(None, {"ids": pad(TEXTS).numpy()})
    assert p.shape == (len(TEXTS),)
    assert ((p > 0) & (p < 1)).all()


def test_int8_is_smaller_and_answers_nearly_the_same(
    exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export.to_int8(exported, tmp_path / "int8.onnx")
    assert not caplog.records
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * exported.stat().st_size
    before, after = (export.predict(export.session(p), TEXTS) for p in (exported, tmp_path / "int8.onnx"))
    assert after == pytest.approx(before, abs=0.02)
    assert after != before


def test_exporting_twice_gives_the_same_bytes(model: Classifier, exported: Path, tmp_path: Path) -> None:
    export.to_onnx(model, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    for name in ("first", "second"):
        export.to_int8(exported, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_file_of_another_model_is_refused(exported: Path) -> None:
    torch.manual_seed(1)
    with pytest.raises(ExportError, match="the exported model differs from the trained one"):
        export.require_equal(Classifier(SMALL).eval(), exported)
