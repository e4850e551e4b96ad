"""Tokenizers of every kind that models come with, trained on a few words: real ones would have to be downloaded."""

import json
import string
from collections.abc import Callable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

WORDS = ["one prompt and another prompt, user and assistant", "the label to the prompt: It is blue.", "My dog is ill."]
ALPHABET = [*string.printable, *"–ïçéàö▁Ġ"]
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]


def fast(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **({"eos_token": "</s>"} | names))


def around(tokenizer: Tokenizer, single: str) -> None:
    """Has the tokenizer put special tokens around every text, as in `<s> $A </s>`."""
    named = [(name, tokenizer.token_to_id(name)) for name in single.split() if name != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=named)


def byte_level(
    prefix: bool = False, single: str = "$A", special: list[str] = SPECIAL, ignore_merges: bool = False
) -> Tokenizer:
    """GPT-2's and Llama 3's kind."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    if single != "$A":
        around(tokenizer, single)
    return tokenizer


def metaspace(scheme: str, single: str = "<s> $A") -> Tokenizer:
    """A sentencepiece BPE as transformers converts it today."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=ALPHABET, show_progress=False
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    around(tokenizer, single)
    return tokenizer


def prepend() -> Tokenizer:
    """Llama 2's: a normalizer puts a space before every piece of text, bytes stand for what the vocabulary lacks."""
    trained = metaspace("never")
    vocabulary = trained.get_vocab()
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges(trained), unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    around(tokenizer, "<s> $A")
    return tokenizer


def merges(trained: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]


def unigram(scheme: str = "always", normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    """T5's and XLNet's kind, whose special tokens are pieces of the vocabulary that a text could become."""
    tokenizer = Tokenizer(models.Unigram())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=140, special_tokens=SPECIAL, unk_token="<unk>", initial_alphabet=ALPHABET, show_progress=False
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    around(tokenizer, "$A </s>")
    return tokenizer


def word_piece() -> Tokenizer:
    """BERT's: lower case, no white space but single spaces."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.WordPieceTrainer(
        vocab_size=300,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        initial_alphabet=ALPHABET,
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    around(tokenizer, "[CLS] $A [SEP]")
    return tokenizer


def word_level() -> Tokenizer:
    """One token a word, and an unknown one for all other words."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    trainer = trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([*WORDS, "\n a b"], trainer)
    return tokenizer


def with_added() -> PreTrainedTokenizerFast:
    """Tokens added later: special ones that take white space with them, an ordinary word, and one beyond its model."""
    tokenizer = fast(byte_level(single="<s> $A"), bos_token="<s>", pad_token="<pad>")
    tokenizer.add_special_tokens(
        {
            "extra_special_tokens": [
                AddedToken("<|wide|>", lstrip=True, rstrip=True),
                AddedToken("<|End|>", normalized=True),
            ]
        }
    )
    tokenizer.add_tokens(["bluebird", AddedToken("<think>", special=False)])
    return tokenizer


BERT = {"eos_token": "[SEP]", "unk_token": "[UNK]", "cls_token": "[CLS]", "pad_token": "[PAD]"}
TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "bytes without start, padding, unknown": lambda: fast(byte_level()),
    "bytes with a space in front": lambda: fast(byte_level(prefix=True), pad_token="<pad>"),
    "bytes with start and end": lambda: fast(byte_level(single="<s> $A </s>"), bos_token="<s>", unk_token="<unk>"),
    "bytes with one token for all": lambda: fast(
        byte_level(special=["<|endoftext|>"]), **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    ),
    "whole words before merges": lambda: fast(byte_level(single="<s> $A", ignore_merges=True), bos_token="<s>"),
    "pieces, a space before the first": lambda: fast(metaspace("first"), bos_token="<s>", unk_token="<unk>"),
    "pieces, a space before every part": lambda: fast(metaspace("always"), bos_token="<s>", unk_token="<unk>"),
    "pieces without a space in front": lambda: fast(metaspace("never"), bos_token="<s>", unk_token="<unk>"),
    "pieces with bytes, a prepended space": lambda: fast(prepend(), bos_token="<s>", unk_token="<unk>"),
    "unigram": lambda: fast(unigram(), unk_token="<unk>", pad_token="<pad>"),
    "unigram, normalized": lambda: fast(unigram(normalizer=normalizers.NFKC()), unk_token="<unk>", pad_token="<pad>"),
    "unigram, a space before the first": lambda: fast(unigram("first"), unk_token="<unk>"),
    "added tokens": with_added,
    "lower case words": lambda: fast(word_piece(), **BERT),
    "words": lambda: fast(word_level(), unk_token="<unk>"),
    "bytes in Python": ByT5Tokenizer,
}
# Text does not survive these: white space, case or unknown words are lost.
LOSSY = frozenset({"lower case words", "words"})
