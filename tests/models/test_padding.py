"""Padding tokens that are none."""

import json
from pathlib import Path

import pytest
import torch

from src.models.pretrained import load_model
from src.models.pretrained_reward import new_reward_model
from src.models.reward_model import RewardModel
from tests.classifiers import save_classifier
from tests.families import save_family
from tests.models.rewards import CPU, PROMPTS, TEXTS, loaded


def give_pad(folder: Path, pad: int) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_token_id": pad}))


@pytest.mark.parametrize("pad", [-1, 10**4])
def test_a_language_model_has_no_such_token(tmp_path: Path, pad: int) -> None:
    save_family("llama", tmp_path)
    give_pad(tmp_path, pad)
    model = load_model(str(tmp_path), torch.float32)
    assert model.config.pad_token_id is None
    # The embedding of the last token of the vocabulary is trained as any other.
    last = model.config.vocab_size - 1
    model(input_ids=torch.tensor([[3, last]])).logits.sum().backward()
    assert model.get_input_embeddings().weight.grad[last].abs().max() > 0


def test_a_sound_padding_token_stays(tmp_path: Path) -> None:
    save_family("gemma", tmp_path)
    before = json.loads((tmp_path / "config.json").read_text())["pad_token_id"]
    model = load_model(str(tmp_path), torch.float32)
    assert model.config.pad_token_id == model.get_input_embeddings().padding_idx == before is not None


@pytest.mark.parametrize("pad", [-1, 10**4])
def test_a_reward_model_scores_as_without_one(tmp_path: Path, pad: int) -> None:
    save_classifier(tmp_path, pad=False)
    expected = loaded(tmp_path).score(PROMPTS, TEXTS)
    give_pad(tmp_path, pad)
    assert loaded(tmp_path).score(PROMPTS, TEXTS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pad", [-1, 10**4])
def test_a_new_reward_model_pads_with_its_tokenizers_token(tmp_path: Path, pad: int) -> None:
    save_family("llama", tmp_path)
    give_pad(tmp_path, pad)
    model, tokenizer = new_reward_model(str(tmp_path), CPU, 0)
    assert model.config.num_labels == 1
    assert model.config.pad_token_id == tokenizer.pad_token_id == tokenizer.eos_token_id
    assert len(RewardModel(model.eval(), tokenizer, "pair", 60, 100).score(PROMPTS, TEXTS)) == len(PROMPTS)
