"""The model is the equations it names, and padding is not part of a text."""

import math
import random

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402  # after the check that torch is there

from llmctl_model.batching import bucketed, by_length, drop_words, pad  # noqa: E402
from llmctl_model.model import Classifier, ModelArgs, attend, masked_mean, sinusoids  # noqa: E402

SMALL = ModelArgs(vocab_size=50, max_tokens=40, d_model=16, n_heads=2, n_layers=2, d_ff=32)


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier(SMALL).eval()


def test_attention_is_that_of_torch_also_behind_a_mask() -> None:
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 4, 2, 7, 8).unbind(0)
    keep = torch.arange(7)[None, :] < torch.tensor([7, 5, 1, 3])[:, None]
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=keep[:, None, None, :])
    assert torch.allclose(attend(q, k, v, keep), expected, atol=1e-6)


def test_the_embedding_is_a_matrix_times_a_one_hot_vector(model: Classifier) -> None:
    ids = torch.tensor([[3, 7, 7, 0]])
    one_hot = functional.one_hot(ids, SMALL.vocab_size).float()
    assert torch.equal(model.embedding(ids), one_hot @ model.embedding.weight)
    assert not model.embedding.weight[0].any()


def test_a_block_is_post_norm(model: Classifier) -> None:
    block = model.blocks[0]
    h, keep = torch.randn(2, 5, SMALL.d_model), torch.ones(2, 5, dtype=torch.bool)
    first = block.attention_norm(h + block.attention(h, keep))
    expected = block.feed_forward_norm(first + block.feed_forward(first))
    assert torch.equal(block(h, keep), expected)
    assert block(h, keep).mean(-1).abs().max() < 1e-5  # what comes out of a LayerNorm with its first weights
    assert (block(h, keep).var(-1, unbiased=False) - 1).abs().max() < 1e-3


def test_positions_are_the_sinusoids_of_the_paper() -> None:
    table = sinusoids(1000, 512)
    for p, i in ((0, 0), (1, 0), (17, 100), (999, 255)):
        angle = p / 10_000 ** (2 * i / 512)
        assert table[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-4)
        assert table[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-4)


def test_the_pool_is_the_mean_of_the_kept_and_zero_of_none() -> None:
    h = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [5.0], [5.0]]])
    keep = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(h, keep).tolist() == [[2.0], [0.0]]


def test_the_answer_does_not_depend_on_padding_nor_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    full = Classifier(ModelArgs()).eval()
    texts = [[random.Random(n).randrange(1, 10_000) for _ in range(n)] for n in (1, 6, 23, 70)]
    with torch.inference_mode():
        alone = torch.stack([full(torch.tensor([ids]))[0] for ids in texts])
        padded = torch.stack([full(torch.tensor([[*ids, *[0] * 130]]))[0] for ids in texts])
        mixed = full(pad(texts))
    assert (alone - padded).abs().max() < 1e-5
    assert (alone - mixed).abs().max() < 1e-5


def test_a_text_of_nothing_but_padding_gives_a_number(model: Classifier) -> None:
    assert torch.isfinite(model(torch.zeros(2, 3, dtype=torch.long))).all()


def test_the_order_of_words_matters(model: Classifier) -> None:
    a, b = model(torch.tensor([[1, 2, 3], [3, 2, 1]])).tolist()
    assert abs(a - b) > 1e-4


def test_the_shipped_size_has_eleven_million_parameters() -> None:
    assert sum(p.numel() for p in Classifier(ModelArgs()).parameters()) == 11_425_281


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="d_model 10 must be even and a multiple of n_heads 4"):
        ModelArgs(d_model=10, n_heads=4)


def lengths(seed: int, count: int) -> list[list[int]]:
    chance = random.Random(seed)
    return [[1] * chance.randrange(1, 60) for _ in range(count)]


def test_an_epoch_takes_every_text_once_in_another_order_each_time() -> None:
    ids, chance = lengths(0, 500), random.Random(0)
    first, second = (list(bucketed(ids, 32, chance)) for _ in range(2))
    for batches in (first, second):
        assert sorted(i for batch in batches for i in batch) == list(range(500))
    assert first != second


def test_batches_hold_texts_of_like_length() -> None:
    ids = lengths(1, 3200)
    padded = sum(len(b) * max(len(ids[i]) for i in b) for b in bucketed(ids, 32, random.Random(0)))
    assert padded < 1.05 * sum(map(len, ids))


def test_evaluation_takes_every_text_once_shortest_first() -> None:
    ids = lengths(2, 150)
    order = [i for batch in by_length(ids) for i in batch]
    assert sorted(order) == list(range(150))
    assert [len(ids[i]) for i in order] == sorted(map(len, ids))


def test_word_dropout_hides_about_the_given_share_and_no_padding() -> None:
    torch.manual_seed(0)
    ids = torch.full((100, 100), 7)
    ids[:, 60:] = 0
    dropped = drop_words(ids, 0.1)
    assert not dropped[:, 60:].any()
    assert set(dropped[:, :60].unique().tolist()) == {1, 7}
    assert (dropped[:, :60] == 1).float().mean().item() == pytest.approx(0.1, abs=0.02)
