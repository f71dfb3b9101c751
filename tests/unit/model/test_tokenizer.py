"""The vocabulary is the most frequent words of the training texts, and every text has at least one token."""

from tokenizers import Tokenizer

from llmctl_model.tokenizer import PAD, PAD_ID, UNK, UNK_ID, encode, learn


def words_of(tokenizer: Tokenizer) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def test_the_vocabulary_is_padding_unknown_and_the_most_frequent_words() -> None:
    tokenizer = learn(["b b b a a c", "a b d"], vocab_size=4, max_tokens=10)
    assert words_of(tokenizer) == [PAD, UNK, "b", "a"]
    assert (PAD_ID, UNK_ID) == (0, 1)


def test_learning_twice_gives_the_same_file() -> None:
    texts = ["the film is fine", "fine is the word", "a word a day"]
    assert learn(texts, 100, 10).to_str() == learn(texts, 100, 10).to_str()


def test_case_width_and_punctuation_do_not_make_new_words() -> None:
    tokenizer = learn(["Good, film!"], 100, 10)
    assert words_of(tokenizer)[2:] == sorted(["good", ",", "film", "!"])
    assert encode(tokenizer, ["GOOD film", "\uff27ood film"])[0] == encode(tokenizer, ["\uff27ood film"])[0]


def test_an_accent_is_part_of_its_letter() -> None:
    tokenizer = learn(["caf\xe9"], 100, 10)
    assert encode(tokenizer, ["cafe\u0301", "cafe"]) == [[2], [UNK_ID]]


def test_an_unseen_word_and_a_text_without_words_are_unknown() -> None:
    tokenizer = learn(["good film"], 100, 10)
    assert encode(tokenizer, ["zebra", "", " \n\t"]) == [[UNK_ID], [UNK_ID], [UNK_ID]]


def test_a_long_text_is_cut_also_after_the_tokenizer_was_saved() -> None:
    tokenizer = Tokenizer.from_str(learn(["a b c"], 100, max_tokens=3).to_str())
    assert len(encode(tokenizer, ["a b c a b"])[0]) == 3
