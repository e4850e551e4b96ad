"""Which models are reward models, and how a new one begins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from src.models.pretrained_reward import keep_head_exact, mark_segments, new_reward_model
from src.models.reward_model import RewardModel
from src.runtime.errors import RunError
from tests.classifiers import make_model, make_tokenizer, save_classifier
from tests.models.rewards import CPU, PROMPTS, TEXTS, loaded
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.mark.parametrize("labels", [2, 5])
def test_more_labels_than_one_are_refused(tmp_path: Path, labels: int) -> None:
    save_classifier(tmp_path, "bert", labels)
    expected = f"expected a reward model, with one label; found BertForSequenceClassification with {labels} labels"
    with pytest.raises(RunError, match=expected):
        loaded(tmp_path)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    model = tiny_model()
    model.config.num_labels = 1
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(RunError, match="no trained reward model: it has no weights for score.weight"):
        loaded(tmp_path)


def test_a_missing_model_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be loaded .* oracle.path=DIR judge.path=DIR") as caught:
        loaded(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="cannot be loaded .* reward.path=DIR"):
        new_reward_model(str(tmp_path / "nowhere"), CPU, 0)


@pytest.fixture
def bfloat16() -> Iterator[PreTrainedModel]:
    yield make_model("llama").to(torch.bfloat16)


def test_a_bfloat16_model_has_rewards_of_float32(bfloat16: PreTrainedModel) -> None:
    keep_head_exact(bfloat16)
    rewards = RewardModel(bfloat16, make_tokenizer("llama"), "pair", 96, 1000)
    found = torch.tensor(rewards.score(PROMPTS, TEXTS))
    assert not torch.equal(found, found.bfloat16().float())
    exact = RewardModel(make_model("llama"), make_tokenizer("llama"), "pair", 96, 1000).score(PROMPTS, TEXTS)
    assert found.tolist() == pytest.approx(exact, abs=0.5)


def test_a_new_model_marks_segments_and_pads(tmp_path: Path) -> None:
    """A causal LM whose tokenizer joins two texts without a mark and knows no padding token."""
    make_tokenizer("llama", pad=False).save_pretrained(tmp_path)
    tiny_model(vocab_size=300).save_pretrained(tmp_path)
    model, tokenizer = new_reward_model(str(tmp_path), CPU, 0)
    assert model.config.num_labels == 1 and model.config.pad_token_id == tokenizer.pad_token_id == 2
    assert torch.equal(model.model.embed_tokens.weight, AutoModelForCausalLM.from_pretrained(tmp_path).lm_head.weight)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    again = AutoTokenizer.from_pretrained(saved)
    for one in (tokenizer, again):
        assert one.decode(one("a question", "an answer").input_ids) == "a question</s>an answer</s>"
        assert one("a question").input_ids[-1] != 2
    other, _ = new_reward_model(str(tmp_path), CPU, 1)
    assert not torch.equal(model.score.weight, other.score.weight)
    before = RewardModel(model.eval(), tokenizer, "pair", 60, 100).score(PROMPTS, TEXTS)
    assert loaded(saved, max_length=60).score(PROMPTS, TEXTS) == pytest.approx(before, abs=1e-5)


def test_a_tokenizer_that_marks_segments_is_left_alone() -> None:
    tokenizer = make_tokenizer("bert")
    before = tokenizer("a", "b").input_ids
    mark_segments(tokenizer)
    assert tokenizer("a", "b").input_ids == before


def test_a_tokenizer_without_padding_and_end_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("llama", pad=False)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    make_model("llama").save_pretrained(tmp_path)
    with pytest.raises(RunError, match="no padding and no end-of-sequence token"):
        new_reward_model(str(tmp_path), CPU, 0)
