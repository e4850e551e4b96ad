"""Rewards do not depend on what else is asked."""

from pathlib import Path

import pytest
import torch

from src.models.reward_model import RewardModel, batches_by_length
from src.runtime.errors import RunError
from tests.classifiers import KINDS, make_model, make_tokenizer, save_classifier
from tests.models.rewards import ASKED, LONG_PROMPT, PROMPTS, TEXTS, loaded, one_by_one


@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_batches_as_one_by_one(tmp_path: Path, kind: str, side: str, input: str) -> None:
    rewards = loaded(save_classifier(tmp_path, kind, padding_side=side), input)
    alone = one_by_one(rewards)
    assert len(set(alone)) == len(ASKED) - 1  # they tell the rows apart, the repetition aside
    assert rewards.score(PROMPTS, TEXTS) == pytest.approx(alone, abs=1e-5)
    order = [3, 0, 5, 1, 2, 4]
    shuffled = rewards.score([PROMPTS[i] for i in order], [TEXTS[i] for i in order])
    assert shuffled == pytest.approx([alone[i] for i in order], abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("input", ["pair", "chat"])
def test_a_model_without_a_padding_token_reads_its_last_token(tmp_path: Path, kind: str, input: str) -> None:
    rewards = loaded(save_classifier(tmp_path, kind, pad=False), input, batch_tokens=1000)
    assert rewards.model.config.pad_token_id is None
    expected = []
    for row in rewards.encode(PROMPTS, TEXTS):
        with torch.no_grad():
            expected.append(rewards.model(torch.tensor([row["input_ids"]])).logits.item())
    assert rewards.score(PROMPTS, TEXTS) == pytest.approx(expected, abs=1e-5)
    assert rewards.model.config.pad_token_id is None
    # The chat template ends in the end token, which would be taken for padding if it were the padding token.
    assert input == "pair" or rewards.encode(["a"], ["b"])[0]["input_ids"][-1] == rewards.tokenizer.eos_token_id


def test_where_every_token_is_used_none_can_pad(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "llama", pad=False))
    rows = [{"input_ids": list(range(300))}, {"input_ids": [7, 8]}]
    with torch.no_grad():
        alone = [rewards.rewards([row]).item() for row in rows]
        assert rewards.rewards(rows).tolist() == pytest.approx(alone, abs=1e-5)


def test_nothing_asked_is_nothing_computed(tmp_path: Path) -> None:
    assert loaded(save_classifier(tmp_path, "bert")).score([], []) == []


def test_what_is_asked_twice_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewards, seen = loaded(save_classifier(tmp_path, "llama")), []
    forward = rewards.model.forward
    monkeypatch.setattr(
        rewards.model, "forward", lambda **inputs: seen.append(inputs["input_ids"].shape[0]) or forward(**inputs)
    )
    scores = rewards.score(["a", "b", "a", "a"], ["x", "x", "x", "y"])
    assert sum(seen) == 3
    assert scores[0] == scores[2] != scores[1]
    assert not any(parameter.grad is not None for parameter in rewards.model.parameters())


@pytest.mark.parametrize("tokens", [1, 10, 17, 1000])
def test_batches_hold_their_tokens(tokens: int) -> None:
    lengths = [3, 9, 1, 4, 4, 10, 2, 8]
    found = list(batches_by_length(lengths, tokens))
    assert sorted(index for batch in found for index in batch) == list(range(8))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    flat = [lengths[index] for batch in found for index in batch]
    assert flat == sorted(flat, reverse=True)
    assert list(batches_by_length([], tokens)) == []


def test_an_input_longer_than_the_models_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="reads at most 96 tokens; max_length=97"):
        loaded(save_classifier(tmp_path, "bert"), max_length=97)


def test_relative_positions_end_nowhere(tmp_path: Path) -> None:
    rewards = loaded(save_classifier(tmp_path, "deberta"), max_length=200)
    assert rewards.model.config.max_position_embeddings < 200
    assert len(rewards.encode([LONG_PROMPT], ["x"])[0]["input_ids"]) > 190
    assert len(rewards.score([LONG_PROMPT], ["x"])) == 1


def test_chat_needs_a_template(tmp_path: Path) -> None:
    save_classifier(tmp_path, "llama")
    tokenizer = make_tokenizer("llama")
    tokenizer.chat_template = None
    with pytest.raises(RunError, match="no chat template, which input=chat needs; use input=pair"):
        RewardModel(make_model("llama"), tokenizer, "chat", 10, 10)
