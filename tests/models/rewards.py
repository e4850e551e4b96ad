"""Reward models of tiny classifiers, and what they are asked."""

from pathlib import Path

import torch

from src.models.pretrained_reward import load_reward_model
from src.models.reward_model import RewardModel

CPU = torch.device("cpu")
# Different lengths, a repetition, an empty response, characters of several bytes, one of several tokens a character.
ASKED = [
    ("a question", "a good answer"),
    ("a question", "a bad reply of nobody at all, and then some more of the same"),
    ("why", ""),
    ("eine Frage: wie geht's dir, 你好?", "größer als 🙂"),
    ("a question", "a good answer"),
    ("one two three four five six seven " * 2, "x"),
]
PROMPTS, TEXTS = [prompt for prompt, _ in ASKED], [text for _, text in ASKED]


def loaded(folder: Path, input: str = "pair", max_length: int = 96, batch_tokens: int = 150) -> RewardModel:
    model, tokenizer = load_reward_model(str(folder), CPU)
    return RewardModel(model, tokenizer, input, max_length, batch_tokens)


def one_by_one(rewards: RewardModel) -> list[float]:
    with torch.no_grad():
        return [rewards.rewards(rewards.encode([p], [t])).item() for p, t in ASKED]


LONG_PROMPT = "".join(f"sentence {number} of the prompt. " for number in range(40))
RESPONSE = "this must stay, all of it!"
