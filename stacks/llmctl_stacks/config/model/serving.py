"""What is served: the model, how many servers, and how each of them runs."""

from __future__ import annotations

from typing import Annotated, Literal

from llmctl_stacks.config.model.base import Section, entry
from llmctl_stacks.config.model.values import AutoOr, DurationRange, FrozenDict, FrozenMap, Name, Text
from llmctl_stacks.config.quantities import Duration

Engine = Literal["attention", "transformers", "vllm"]
LogLevel = Literal["debug", "info", "warning", "error"]

Source = Annotated[
    str,
    Text("builtin://attention or file:// and the path of a model bundle", r"builtin://attention|file://[^\s].*"),
]
VariableValue = Annotated[str, Text("text without a NUL character", r"[^\0]*")]


class Model(Section):
    """A model to serve."""

    name: Name = entry(
        ...,
        "What clients ask for, and how a stack file refers to the model to change it.",
        example="attention",
        references="none",
    )
    engine: Engine = entry(
        "attention",
        "What runs the model: `attention` is the built-in classifier on ONNX Runtime. "
        "The target `local` serves only `attention` today.",
        references="none",
    )
    source: Source = entry(
        "builtin://attention",
        "Where the model bundle comes from: `builtin://attention` is the trained copy that ships with llmctl, "
        "`file://PATH` a folder with `model.onnx`, `tokenizer.json` and `model_card.json`, "
        "relative to the file that says so.",
        example="file://../models/mine",
    )
    max_tokens: int = entry(
        1000,
        "Longest text, in tokens; a longer one is answered 422, or cut where the request says `truncate`.",
        ge=1,
        le=1000,
    )


class Scaling(Section):
    """How many model servers run."""

    replicas: int = entry(2, "Model servers behind the gateway.", ge=1, le=64)


class Server(Section):
    """How each model server runs."""

    threads: Annotated[int | Literal["auto"], AutoOr(1, 64)] = entry(
        "auto", "Threads that compute, per replica; `auto` shares the cores of the machine among the replicas."
    )
    max_queue: int = entry(
        512, "Texts that may wait in one replica; requests beyond it are answered 429.", ge=1, le=100_000
    )
    max_texts: int = entry(64, "Texts in one request.", ge=1, le=1024)
    drain_delay: Annotated[Duration, DurationRange("0s", "5m")] = entry(
        Duration.parse("1s"),
        "How long a stopping replica stays reachable and reports not ready, so that the gateway stops sending.",
    )
    grace: Annotated[Duration, DurationRange("1s", "15m")] = entry(
        Duration.parse("30s"),
        "How long a stopping replica may take to answer what it has accepted, drain_delay included.",
    )
    log_level: LogLevel = entry("info", "Least important message that is logged.")
    environment: FrozenMap[VariableValue] = entry(
        FrozenDict(),
        "Extra environment variables of the server. Values may hold `${env:X}` and `${secret:X}`; "
        "names that start with LLMCTL_ are llmctl's own.",
        example={"HF_TOKEN": "${secret:HF_TOKEN}"},
        references="secret",
    )
