"""What a reward model learns: the chosen responses' way."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from src.models.pretrained_reward import new_reward_model
from src.models.reward_model import RewardModel
from src.reward_fitting.fit import fit
from src.reward_fitting.preferences import Preference
from src.reward_fitting.spec import RewardSpec
from tests.classifiers import save_classifier

SPEC = RewardSpec(
    count=2, held_out=0.5, path=None, input="pair", max_length=64, batch_tokens=2000, steps=40, batch_size=16,
    learning_rate=0.01,
)  # fmt: skip
WORDS = ("one", "two", "three", "four", "five", "six")


def toy(count: int, seed: int) -> list[Preference]:
    """Whoever says "good" is preferred; prompts and the words around do not matter."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = [str(word) for word in rng.choice(WORDS, 3)]
        texts = f"{words[0]} good {words[1]}", f"{words[1]} bad {words[2]}"
        chosen = int(rng.integers(2))
        found.append(Preference(str(rng.choice(WORDS)), texts[:: 1 - 2 * chosen], chosen, (0.0, 1.0), 0.0, 0.0))
    return found


def fitted(
    folder: Path, kind: str, spec: RewardSpec = SPEC, seed: int = 0, preferences: list[Preference] | None = None
) -> tuple[RewardModel, list[float]]:
    model, tokenizer = new_reward_model(str(save_classifier(folder, kind)), torch.device("cpu"), 0)
    rewards = RewardModel(model, tokenizer, spec.input, spec.max_length, spec.batch_tokens)
    losses: list[float] = []
    tail = fit(rewards, preferences or toy(200, 0), spec, seed, losses.append)
    assert tail == pytest.approx(np.mean(losses[-max(1, len(losses) // 10) :]))
    assert len(losses) == spec.steps and not model.training
    return rewards, losses


@pytest.mark.parametrize("input", ["pair", "chat"])
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_what_is_separable_is_separated(tmp_path: Path, kind: str, input: str) -> None:
    rewards, losses = fitted(tmp_path, kind, dataclasses.replace(SPEC, input=input))
    held_out = toy(200, 1)
    prompts = [one.prompt for one in held_out]
    chosen = np.array(rewards.score(prompts, [one.texts[one.chosen] for one in held_out]))
    rejected = np.array(rewards.score(prompts, [one.texts[1 - one.chosen] for one in held_out]))
    assert (chosen > rejected).mean() > 0.95
    assert losses[-1] < 0.2


def test_the_first_loss_is_bradley_terrys(tmp_path: Path) -> None:
    """-log sigmoid(r(chosen) - r(rejected)), the mean over the batch, which here is all there is."""
    given = toy(8, 2)
    spec = dataclasses.replace(SPEC, steps=1, batch_size=8)
    model, tokenizer = new_reward_model(str(save_classifier(tmp_path, "llama")), torch.device("cpu"), 0)
    rewards = RewardModel(model.eval(), tokenizer, "pair", 64, 2000)
    prompts = [one.prompt for one in given]
    chosen = np.array(rewards.score(prompts, [one.texts[one.chosen] for one in given]))
    rejected = np.array(rewards.score(prompts, [one.texts[1 - one.chosen] for one in given]))
    expected = np.log1p(np.exp(rejected - chosen)).mean()
    assert fitted(tmp_path, "llama", spec, preferences=given)[1] == pytest.approx([expected], abs=1e-5)


def test_micro_batches_change_nothing(tmp_path: Path) -> None:
    whole, losses = fitted(tmp_path, "llama", dataclasses.replace(SPEC, steps=3))
    parts, others = fitted(tmp_path, "llama", dataclasses.replace(SPEC, steps=3, batch_tokens=40))
    assert losses == pytest.approx(others, abs=1e-4)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_one_seed_one_model(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, steps=3)
    first, again, other = (fitted(tmp_path, "bert", spec, seed)[0].model.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_loss_that_is_not_finite_ends_it(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower reward.learning_rate"):
        fitted(tmp_path, "llama", dataclasses.replace(SPEC, learning_rate=1e30))
