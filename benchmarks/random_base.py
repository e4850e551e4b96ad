"""A model in a published shape with random weights, and random rows as long as TL;DR's: nothing has to be downloaded.

Neither the weights nor the words change what a step costs. The tokenizer has far fewer tokens than the model: the head
is as large as the published one, and responses sampled from random weights hold ids that no text has.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerBase

from benchmarks.planning.architecture import KNOWN, Architecture
from src.models.scratch import train_tokenizer
from src.records import Row
from src.runtime.seeding import numpy_stream
from src.storage.files import writing

# The model type in transformers of each shape.
TYPES = {"smollm2_135m": "llama", "qwen3_0_6b": "qwen3", "gemma_2b": "gemma", "llama3_8b": "llama", "toy": "llama"}
SHAPES = KNOWN | {"toy": Architecture(2, 64, 128, 4, 2, 16, 512, tied=True)}
# TL;DR with Gemma's tokenizer, tokens: median, and standard deviation of the logarithm.
PROMPTS, LABELS = (320, 0.35), (34, 0.4)
TOKENIZER_SIZE = 400
WORDS = 500
POSITIONS = 8192


def write_base(folder: Path, shape: str, device: torch.device, rows: int, scale: float = 1.0) -> None:
    """Writes a model folder with bfloat16 weights, and `rows.jsonl` beside the weights.

    Args:
        folder: the new model folder.
        shape: a name of `SHAPES`.
        device: where the weights are drawn.
        rows: number of rows; a tenth of them, at least one, is meant for validation.
        scale: factor on the lengths of prompts and labels.

    Raises:
        RunError: if the folder cannot be written.
    """
    words = [f"{first}{second}" for first in _syllables() for second in _syllables()][:WORDS]
    tokenizer = train_tokenizer([Row(" ".join(words), word) for word in words], TOKENIZER_SIZE)
    with writing(folder):
        with torch.device(device), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(_config(shape, tokenizer), dtype=torch.bfloat16)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        drawn = numpy_stream(0, "random-rows")
        with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
            for number in range(rows):
                prompt, label = (_text(drawn, words, tokenizer, length, scale) for length in (PROMPTS, LABELS))
                file.write(json.dumps({"prompt": f"{number} {prompt}", "label": label}) + "\n")


def _config(shape: str, tokenizer: PreTrainedTokenizerBase) -> PreTrainedConfig:
    size = SHAPES[shape]
    return AutoConfig.for_model(
        TYPES[shape],
        num_hidden_layers=size.layers,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        head_dim=size.head_dim,
        vocab_size=size.vocabulary,
        tie_word_embeddings=size.tied,
        max_position_embeddings=POSITIONS,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _syllables() -> list[str]:
    return [f"{consonant}{vowel}" for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def _text(
    drawn: np.random.Generator, words: list[str], tokenizer: PreTrainedTokenizerBase, length: tuple[int, float],
    scale: float,
) -> str:  # fmt: skip
    """Random words of about as many tokens as are drawn, at least one word."""
    median, spread = length
    wanted = max(1, round(scale * math.exp(drawn.normal(math.log(median), spread))))
    text = " ".join(drawn.choice(words, wanted))
    kept = tokenizer(text, add_special_tokens=False).input_ids[:wanted]
    return str(tokenizer.decode(kept)).strip() or words[0]
