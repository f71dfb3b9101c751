"""A model bundle of a few hundred bytes that answers for a reason: `good` and `bad` decide, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4}
WEIGHT = np.array([[0.0], [0.0], [3.0], [-3.0], [0.1]], dtype=np.float32)
MAX_TOKENS = 2000
_WIDTH = 1024


def write_bundle(folder: Path, *, layers: int = 0) -> Path:
    """Write a bundle with the signature of a real one.

    Args:
        folder: made when missing.
        layers: how many multiplications of [tokens, 1024] by [1024, 1024] each text costs on top; they change
            nothing in the answer.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(layers), folder / "model.onnx")
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    card = {"schema": 1, "name": "tiny", "max_tokens": MAX_TOKENS, "created": "2026-01-02"}
    (folder / "model_card.json").write_text(json.dumps(card))
    return folder


def _model(layers: int) -> onnx.ModelProto:
    """Ids [b, t] to the sigmoid of the mean weight of the words that are not padding, [b, 1]."""
    constants = {
        "weight": WEIGHT,
        "padding": np.array(0, dtype=np.int64),
        "time": np.array([1], dtype=np.int64),
        "one": np.array(1.0, dtype=np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["weight", "ids"], ["words"]),
        node("Equal", ["ids", "padding"], ["is_padding"]),
        node("Not", ["is_padding"], ["kept"]),
        node("Cast", ["kept"], ["keep"], to=TensorProto.FLOAT),
        node("ReduceSum", ["keep", "time"], ["count"], keepdims=1),
        node("Max", ["count", "one"], ["at_least_one"]),
        node("ReduceSum", ["words", "time"], ["sum"], keepdims=0),
        node("Div", ["sum", "at_least_one"], ["mean"]),
    ]
    logit = "mean"
    if layers:
        # So small that the answer stays the same in float32, but not zero: zero could be optimised away.
        constants["widen"] = np.full((1, _WIDTH), 1e-12, dtype=np.float32)
        constants["square"] = np.full((_WIDTH, _WIDTH), 1e-6, dtype=np.float32)
        nodes.append(node("MatMul", ["words", "widen"], ["layer0"]))
        nodes += [node("MatMul", [f"layer{i}", "square"], [f"layer{i + 1}"]) for i in range(layers)]
        constants["last"] = np.array([1, 2], dtype=np.int64)
        nodes.append(node("ReduceSum", [f"layer{layers}", "last"], ["nothing"], keepdims=0))
        constants["column"] = np.array([1], dtype=np.int64)
        nodes.append(node("Unsqueeze", ["nothing", "column"], ["nothing_column"]))
        nodes.append(node("Add", ["mean", "nothing_column"], ["logit"]))
        logit = "logit"
    nodes.append(node("Sigmoid", [logit], ["p"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "t"])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["b", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
