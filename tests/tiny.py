"""What the tests use in place of downloads: a random two-layer Llama, a byte tokenizer and numbered prompts."""

import functools

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from src.inference.uniforms import PromptKeys, response_keys
from src.models.scratch import train_tokenizer
from src.records import Prompt, Row

VOCABULARY = 64
DIMENSIONS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    # Large, so that the next token depends strongly on the ones before: a wrong mask or position shows.
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def tiny_model(seed: int = 0, **changes: object) -> LlamaForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**(DIMENSIONS | changes))).eval()


def tiny_gpt2(seed: int = 0) -> GPT2LMHeadModel:
    """A model that knows the place of a token by its number, where Llama sees the distance between two alone."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config).eval()


@functools.cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([Row("one prompt", "one label"), Row("another prompt", "another label")], 258)


def numbered_prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=i, row=Row(f"prompt {i}", f"label {i}"), ids=(2 + i % 50,), label_ids=(3, 1)) for i in range(count)
    ]


def keys(count: int, k: int, seed: int = 0) -> torch.Tensor:
    """The keys of k responses to each of the first prompts of a stream, (count, k)."""
    return response_keys(PromptKeys(seed).take(count), 0, k)
