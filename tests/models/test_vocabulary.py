"""Tokens beyond a model's embeddings."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from src.models.pretrained import load_model, load_tokenizer
from src.models.pretrained_reward import new_reward_model
from src.models.template import Template
from src.models.vocabulary import require_embeddings
from src.runtime.errors import RunError
from tests.families import CHATML, save_family
from tests.models.rewards import CPU


def check(folder: str, change: Callable[[PreTrainedTokenizerFast], object], kind: str = "plain") -> None:
    tokenizer = load_tokenizer(folder)
    change(tokenizer)
    template = Template(tokenizer, kind)
    produced = [*template.prompt_ids("a"), *template.response_ids("b"), *template.end_ids]
    require_embeddings(tokenizer, load_model(folder, torch.float32), folder, produced)


def with_turns(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|new_start|>"]})
    tokenizer.chat_template = CHATML.replace("<|im_start|>", "<|new_start|>")


def test_words_that_were_added_are_refused(tmp_path: Path) -> None:
    folder = save_family("llama", tmp_path)
    check(folder, lambda tokenizer: None)
    expected = r"has 2 tokens beyond the \d+ embeddings of its model: 'anew' \(\d+\), 'aword'.*resize_token_embeddings"
    with pytest.raises(RunError, match=expected):
        check(folder, lambda tokenizer: tokenizer.add_tokens(["anew", "aword"]))


def test_an_end_token_and_tokens_of_the_template_are_refused(tmp_path: Path) -> None:
    folder = save_family("llama", tmp_path)
    with pytest.raises(RunError, match="'<end>'"):
        check(folder, lambda tokenizer: tokenizer.add_special_tokens({"eos_token": "<end>"}))
    with pytest.raises(RunError, match=r"<\|new_start\|>"):
        check(folder, with_turns, "chat")
    check(folder, with_turns)  # the plain template never writes it


def test_a_padding_token_that_no_text_contains_is_left_alone(tmp_path: Path) -> None:
    check(save_family("llama", tmp_path), lambda tokenizer: tokenizer.add_special_tokens({"pad_token": "[PAD]"}))


def test_reward_models_are_refused_too(tmp_path: Path) -> None:
    folder = save_family("llama", tmp_path)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    model, kept = new_reward_model(folder, CPU, 0)
    assert kept.pad_token == kept.eos_token and model.config.pad_token_id == kept.eos_token_id
    tokenizer.add_tokens(["anew"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(RunError, match="'anew'"):
        new_reward_model(folder, CPU, 0)
