"""A small Llama with random weights and a tokenizer trained on the train split: the `tiny` model."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from src.models.spec import ScratchSpec
from src.records import Row
from src.runtime.seeding import stream_seed
from src.storage.files import writing


def train_tokenizer(rows: list[Row], vocab_size: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer on prompts and labels; any text survives a round trip.

    Args:
        rows: the train split.
        vocab_size: most tokens, `<pad>` and `<eos>` included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<pad>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((f"{row.prompt} {row.label}" for row in rows), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


def make_base(folder: Path, rows: list[Row], spec: ScratchSpec) -> None:
    """Writes a random model and its tokenizer as an ordinary transformers folder.

    Raises:
        RunError: if the folder cannot be written.
    """
    tokenizer = train_tokenizer(rows, spec.vocab_size)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        intermediate_size=spec.intermediate,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=spec.positions,
        tie_word_embeddings=True,
        initializer_range=spec.initializer_range,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(spec.seed, "scratch"))
        model = LlamaForCausalLM(config)
    with writing(folder):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
