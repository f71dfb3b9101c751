"""From texts to probabilities: the tokenizer and the onnxruntime sessions of one model.

Two sessions read the same model. The narrow one computes in the calling thread, so that any number of workers
can run it side by side under load; the wide one spreads a single run over all processors, which is what a lone
caller wants. Both are safe to call from several threads, and both release the interpreter while they compute.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from llmctl_server.bundle import Bundle
from llmctl_server.errors import StartError

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]
    from tokenizers import Tokenizer

_CGROUPS = (
    (Path("/sys/fs/cgroup"), ("cpu.max",)),
    (Path("/sys/fs/cgroup/cpu"), ("cpu.cfs_quota_us", "cpu.cfs_period_us")),
)
"""Where version 2 and version 1 of control groups keep a container's quota and period."""

SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""Rewritings of the graph that make it slower: the fused kernel took 9 times as long as its two parts (1.32)."""

UNKNOWN_TOKEN = "[UNK]"  # noqa: S105 - a word of the vocabulary, not a secret


class Engine(Protocol):
    """What the scheduler needs of a model. Both methods may be called from several threads at once."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, never cut; at least one id per text."""

    def run(self, ids: Sequence[Sequence[int]], *, wide: bool) -> list[float]:
        """Probability that each text is positive, in the order given.

        Args:
            ids: token ids of one bucket, one or more texts.
            wide: spread this run over all processors.
        """


class OnnxEngine:
    """The engine that serves a bundle with onnxruntime on the processor."""

    name = "onnxruntime"

    def __init__(
        self, tokenizer: Tokenizer, narrow: onnxruntime.InferenceSession, wide: onnxruntime.InferenceSession
    ) -> None:
        unknown = tokenizer.token_to_id(UNKNOWN_TOKEN)
        # A text of nothing but characters that the tokenizer drops still gets an answer.
        self._nothing = [0 if unknown is None else unknown]
        self._tokenizer = tokenizer
        self._narrow = narrow
        self._wide = wide

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, never cut; a text without tokens becomes the unknown token."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids or self._nothing for encoding in encodings]

    def run(self, ids: Sequence[Sequence[int]], *, wide: bool) -> list[float]:
        """Probability that each text is positive; shorter texts are padded with id 0, which the model masks."""
        import numpy as np

        longest = max(map(len, ids))
        padded = np.zeros((len(ids), longest), dtype=np.int64)  # [b, t]
        for row, each in zip(padded, ids, strict=True):
            row[: len(each)] = each
        session = self._wide if wide else self._narrow
        (probabilities,) = session.run(["p"], {"ids": padded})  # [b, 1] or [b]
        values: list[float] = probabilities.reshape(-1).tolist()
        return values

    def warm_up(self) -> None:
        """Run both sessions once, so that the first request does not pay for their buffers.

        Raises:
            StartError: the model does not run, or does not answer with one probability per text.
        """
        ids = [self._nothing * 8, self._nothing]
        try:
            answers = [self.run(ids, wide=wide) for wide in (False, True)]
        except Exception as error:  # onnxruntime's errors share no narrower root
            raise StartError(f"the model does not run: {_first_line(error)}") from error
        if any(len(answer) != 2 or not all(0.0 <= p <= 1.0 for p in answer) for answer in answers):
            raise StartError("the model does not answer with one probability per text")


def load_tokenizer(bundle: Bundle) -> Tokenizer:
    """Load the bundle's tokenizer, without the cutting and padding that its file may ask for.

    Raises:
        StartError: the file is not a tokenizer.
    """
    # Each worker tokenizes in its own thread; a pool under every worker would fight over the same processors.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(bundle.tokenizer)
    except Exception as error:  # the library raises bare Exception
        raise StartError(f"the bundle's tokenizer cannot be read: {_first_line(error)}") from error
    # The server must know the true length of a text, to refuse it or to say that it was cut.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Load the model for runs of `threads` threads.

    Raises:
        StartError: the bytes are no model, or not one from `ids` int64 [b, t] to `p`.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Every mixture of lengths is a new shape: remembering a memory plan for each would only grow.
    options.enable_mem_pattern = False
    # Threads that spin on after a run would steal the processor from the next request.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW_FUSIONS
        )
    except Exception as error:  # onnxruntime's errors share no narrower root
        raise StartError(f"the model cannot be loaded: {_first_line(error)}") from error
    inputs = [(each.name, each.type, len(each.shape)) for each in session.get_inputs()]
    outputs = [each.name for each in session.get_outputs()]
    if inputs != [("ids", "tensor(int64)", 2)] or "p" not in outputs:
        raise StartError(f"the model maps {inputs} to {outputs}, not `ids` int64 [b, t] to `p`")
    return session


def usable_processors() -> int:
    """Processors that this process may use: the affinity mask, then the quota of its control group."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota() or count))


def _quota() -> int | None:
    """Whole processors of the container's quota, or None when there is no limit."""
    for folder, names in _CGROUPS:
        try:
            quota, period = " ".join((folder / name).read_text("ascii") for name in names).split()
            return max(1, round(int(quota) / int(period))) if int(quota) > 0 else None
        except (OSError, ValueError):
            continue  # No such file, or "max": no limit here.
    return None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
