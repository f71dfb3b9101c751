"""Words to ids: a word-level vocabulary, learned from the training texts only.

A word that is not among the most frequent becomes [UNK]. Nothing is added around a text, so one token in is one
position of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD, UNK = "[PAD]", "[UNK]"
PAD_ID, UNK_ID = 0, 1


def learn(texts: Iterable[str], vocab_size: int, max_tokens: int) -> Tokenizer:
    """Learn a vocabulary.

    Args:
        texts: the training texts; validation and test texts would leak their words into the vocabulary.
        vocab_size: how many ids there are, with [PAD] = 0 and [UNK] = 1.
        max_tokens: longer texts are cut here.

    Returns:
        The tokenizer; `save` writes it as `tokenizer.json`, which needs nothing of this package to be used.
    """
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
    # After NFKC an accent is one letter with its base, so strip-accents takes only the marks that have no such
    # letter: "café" stays "café".
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size, min_frequency=1, special_tokens=[PAD, UNK], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Turn texts into ids; a text without any word becomes the single token [UNK]."""
    return [encoding.ids or [UNK_ID] for encoding in tokenizer.encode_batch(list(texts))]
