"""Turn the trained model into the file that is served: ONNX, its matrices in 8-bit integers.

Stages: `to_onnx` (float32, ends in the sigmoid, any batch and length) -> `to_int8` (dynamic quantization: weights
in int8, activations measured at run time). `session` and `predict` run either file as the server does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from llmctl_model.batching import by_length, pad
from llmctl_model.errors import ExportError
from llmctl_model.model import Classifier

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]

OPSET = 17
_EXACT = 1e-4  # float32 sums in another order, through two blocks


class Probability(nn.Module):
    """The classifier with its sigmoid: ids [B, T] to probabilities [B]."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids [B, T] to the probability that each text is positive, [B]."""
        logits: Tensor = self.classifier(ids)
        return logits.sigmoid()


def to_onnx(model: Classifier, path: Path) -> None:
    """Write the model in float32 with input `ids` int64 [b, t] and output `p` float [b].

    Args:
        model: the trained model.
        path: the file to write.

    Raises:
        ExportError: the file does not answer like the model.
    """
    example = torch.randint(2, model.args.vocab_size, (2, min(64, model.args.max_tokens)))
    with warnings.catch_warnings():
        # torch calls this exporter legacy. Its graph is plain matrix products, which the quantizer below knows.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            Probability(model).eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["ids"],
            output_names=["p"],
            dynamic_axes={"ids": {0: "b", 1: "t"}, "p": {0: "b"}},
        )
    require_equal(model, path)


def to_int8(source: Path, path: Path) -> None:
    """Quantize a float32 ONNX file: every constant matrix to int8, one scale each."""
    # 7 of the 8 bits: x86 processors without VNNI add two products in 16 bits, where full ones would saturate. On
    # the test sets this costs nothing that could be measured.
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    # It recommends a pass that fuses and folds; this graph gains nothing by it, in size, speed or answers.
    root = logging.getLogger()
    root.addFilter(_is_no_advice)
    try:
        quantize_dynamic(source, path, weight_type=QuantType.QInt8, reduce_range=True)
    finally:
        root.removeFilter(_is_no_advice)


def session(path: Path, threads: int = 2) -> InferenceSession:
    """Open an ONNX file on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def predict(running: InferenceSession, ids: Sequence[Sequence[int]]) -> list[float]:
    """Probability that each text is positive, in the order of `ids`; batches of like length."""
    answers = [0.0] * len(ids)
    for batch in by_length(ids):
        outputs: Any = running.run(["p"], {"ids": pad([ids[i] for i in batch]).numpy()})
        for index, p in zip(batch, outputs[0].tolist(), strict=True):
            answers[index] = p
    return answers


def require_equal(model: Classifier, path: Path) -> None:
    """Compare file and model on batches whose sizes differ from the exported example's.

    Raises:
        ExportError: a probability differs by more than rounding.
    """
    running = session(path)
    for shape in ((1, 1), (3, 17), (2, min(200, model.args.max_tokens))):
        ids = torch.randint(1, model.args.vocab_size, shape)
        ids[0, shape[1] // 2 + 1 :] = 0  # one text shorter than its batch
        with torch.inference_mode():
            expected = Probability(model).eval()(ids)
        outputs: Any = running.run(["p"], {"ids": ids.numpy()})
        difference = float((torch.from_numpy(outputs[0]) - expected).abs().max())
        if not difference <= _EXACT:
            raise ExportError(
                "the exported model differs from the trained one",
                f"by {difference:.2g} in probability on ids {shape}, more than {_EXACT}",
                "use the versions of torch and onnx of the lock file",
            )


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
