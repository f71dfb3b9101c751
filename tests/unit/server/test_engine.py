from __future__ import annotations

import math
import random
from pathlib import Path

import onnx
import pytest

from llmctl_server.buckets import cut
from llmctl_server.bundle import Bundle, read_bundle
from llmctl_server.engine import OnnxEngine, load_session, load_tokenizer, usable_processors
from llmctl_server.errors import StartError
from support import tiny_model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(tiny_model.write_bundle(tmp_path_factory.mktemp("bundle")), None, None)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OnnxEngine:
    return OnnxEngine(load_tokenizer(bundle), load_session(bundle.model, 1), load_session(bundle.model, 2))


def test_a_text_becomes_the_ids_of_its_words(engine: OnnxEngine) -> None:
    assert engine.encode(["A good film", "bad!"]) == [[1, 2, 4], [3, 1]]


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_a_text_without_words_becomes_the_unknown_word(engine: OnnxEngine, text: str) -> None:
    assert engine.encode([text]) == [[1]]


def test_the_length_of_a_text_is_never_hidden_by_the_tokenizers_own_settings(bundle: Bundle) -> None:
    from tokenizers import Tokenizer

    eager = Tokenizer.from_buffer(bundle.tokenizer)
    eager.enable_truncation(3)
    eager.enable_padding(length=9)
    tokenizer = load_tokenizer(Bundle(b"", eager.to_str().encode(), {}, ""))

    assert len(tokenizer.encode("good " * 5).ids) == 5


@pytest.mark.parametrize("wide", [False, True])
def test_the_answer_is_the_models(engine: OnnxEngine, wide: bool) -> None:
    answer = engine.run([[2, 2, 3], [4]], wide=wide)

    assert answer == pytest.approx([1 / (1 + math.exp(-1.0)), 1 / (1 + math.exp(-0.1))], abs=1e-6)


@pytest.mark.parametrize("wide", [False, True])
def test_a_text_gets_the_same_answer_alone_and_in_any_batch(engine: OnnxEngine, wide: bool) -> None:
    chance = random.Random(7)
    texts = [" ".join(chance.choices(["good", "bad", "film", "odd"], k=chance.randint(1, 60))) for _ in range(100)]
    ids = engine.encode(texts)

    alone = [engine.run([each], wide=wide)[0] for each in ids]
    together = [0.0] * len(ids)
    for bucket in cut([len(each) for each in ids]):
        for index, score in zip(bucket, engine.run([ids[index] for index in bucket], wide=wide), strict=True):
            together[index] = score

    assert together == pytest.approx(alone, abs=1e-6)


def test_warming_up_accepts_a_model_that_answers(engine: OnnxEngine) -> None:
    engine.warm_up()


def test_what_is_no_model_is_refused_with_one_line() -> None:
    with pytest.raises(StartError, match=r"^the model cannot be loaded: .+$") as caught:
        load_session(b"not a model", 1)
    assert "\n" not in caught.value.lines[0]


def test_a_model_with_other_inputs_is_refused(bundle: Bundle) -> None:
    model = onnx.load_model_from_string(bundle.model)
    model.graph.input[0].name = "tokens"
    for node in model.graph.node:
        node.input[:] = ["tokens" if name == "ids" else name for name in node.input]

    with pytest.raises(StartError, match=r"the model maps \[\('tokens', 'tensor\(int64\)', 2\)\] to \['p'\]"):
        load_session(model.SerializeToString(), 1)


def test_a_model_that_answers_with_no_probability_is_refused(bundle: Bundle) -> None:
    model = onnx.load_model_from_string(bundle.model)
    model.graph.node[-1].op_type = "Log"
    session = load_session(model.SerializeToString(), 1)

    with pytest.raises(StartError, match="does not answer with one probability per text"):
        OnnxEngine(load_tokenizer(bundle), session, session).warm_up()


def test_what_is_no_tokenizer_is_refused_with_one_line() -> None:
    with pytest.raises(StartError, match=r"^the bundle's tokenizer cannot be read: .+$"):
        load_tokenizer(Bundle(b"", b"{}", {}, ""))


def test_there_is_a_processor() -> None:
    assert usable_processors() >= 1


def test_a_container_quota_limits_the_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmctl_server.engine._CGROUPS", ((tmp_path, ("cpu.max",)),))
    for content, expected in (("150000 100000\n", 2), ("50000 100000\n", 1)):
        (tmp_path / "cpu.max").write_text(content)
        assert usable_processors() == min(expected, usable_processors_without(tmp_path, monkeypatch))


def usable_processors_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patch:
        patch.setattr("llmctl_server.engine._CGROUPS", ((tmp_path / "none", ("cpu.max",)),))
        return usable_processors()
