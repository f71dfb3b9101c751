"""Loading the model of a server: bundle, sessions, tokenizer, one run of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmctl_server.bundle import read_bundle
from llmctl_server.engine import OnnxEngine, load_session, load_tokenizer, usable_processors
from llmctl_server.errors import StartError
from llmctl_server.settings import Settings
from llmctl_server.state import State


@dataclass(frozen=True)
class LoadedModel:
    """A model that can answer.

    Attributes:
        engine: runs it.
        threads: workers under load, and threads of a lone run.
        digest: of the bundle.
        card: the model card.
        seconds: time that loading took.
        engine_version: version of the library behind the engine.
    """

    engine: OnnxEngine
    threads: int
    digest: str
    card: Mapping[str, Any]
    engine_version: str
    seconds: float


def load(settings: Settings, state: State) -> LoadedModel:
    """Load the model that the settings name, timing each step into `state.phases`.

    Raises:
        StartError: the bundle is not the expected one or cannot be served.
    """
    began = time.monotonic()
    threads = settings.threads or usable_processors()
    with state.phase("read"):
        bundle = read_bundle(settings.model, settings.model_fd, settings.model_digest)
    _check_length(bundle.card, settings.max_tokens)
    with state.phase("import_engine"):
        import onnxruntime  # type: ignore[import-untyped]
    with state.phase("sessions"):
        narrow = load_session(bundle.model, 1)
        wide = load_session(bundle.model, threads) if threads > 1 else narrow
    with state.phase("tokenizer"):
        tokenizer = load_tokenizer(bundle)
    with state.phase("warm_up"):
        engine = OnnxEngine(tokenizer, narrow, wide)
        engine.warm_up()
    seconds = round(time.monotonic() - began, 4)
    return LoadedModel(engine, threads, bundle.digest, bundle.card, onnxruntime.__version__, seconds)


def _check_length(card: Mapping[str, Any], max_tokens: int) -> None:
    longest = card.get("max_tokens")
    if isinstance(longest, int) and max_tokens > longest:
        raise StartError(f"LLMCTL_MAX_TOKENS={max_tokens}: the model reads at most {longest} tokens")
