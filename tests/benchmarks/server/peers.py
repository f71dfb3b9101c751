"""The servers that people write first, for comparison: FastAPI around the same model, one text at a time.

Run one by `PEER=torch BUNDLE=folder python -m uvicorn peers:app`. Both compute in `async def`, on the event loop,
with two threads: the fastest of the simple ways (a thread pool per request is slower).

- `torch`: the float32 model in plain torch, at the text's true length. Weights are random unless `CHECKPOINT`
  names a file with the model's state: speed does not depend on them.
- `onnx`: the shipped 8-bit model in onnxruntime.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

MAX_TOKENS = 1000
THREADS = int(os.environ.get("THREADS", "2"))


class Text(BaseModel):
    """A request."""

    text: str


def _torch_model() -> Callable[[list[int]], float]:
    import torch

    from llmctl_model.model import Classifier, ModelArgs

    torch.set_num_threads(THREADS)
    model = Classifier(ModelArgs())
    if checkpoint := os.environ.get("CHECKPOINT"):
        model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.eval()

    def score(ids: list[int]) -> float:
        with torch.inference_mode():
            return float(torch.sigmoid(model(torch.tensor([ids])))[0])

    return score


def _onnx_model() -> Callable[[list[int]], float]:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    path = str(Path(os.environ["BUNDLE"]) / "model.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def score(ids: list[int]) -> float:
        return float(session.run(["p"], {"ids": np.array([ids], dtype=np.int64)})[0].reshape(-1)[0])

    return score


tokenizer = Tokenizer.from_file(str(Path(os.environ["BUNDLE"]) / "tokenizer.json"))
tokenizer.no_truncation()
score = {"torch": _torch_model, "onnx": _onnx_model}[os.environ["PEER"]]()
app = FastAPI()


@app.post("/v1/classify")
async def classify(request: Text) -> dict[str, object]:
    """Answer one text."""
    ids = tokenizer.encode(request.text).ids[:MAX_TOKENS] or [1]
    probability = score(ids)
    return {"label": "positive" if probability >= 0.5 else "negative", "score": probability}
