"""From labelled pairs to the folder of a reward model: split, fit, save, judge the saved model on held-out pairs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from src.build import build_sft_cache
from src.config import RunConfig
from src.data.splits import Splits
from src.models.pretrained_reward import load_reward_model, new_reward_model
from src.models.reward_model import RewardModel
from src.reward_fitting.fit import fit
from src.reward_fitting.held_out import judge_held_out
from src.reward_fitting.preferences import Preference, in_drawn_order, split_by_prompt
from src.reward_fitting.spec import RewardSpec
from src.runtime.report import Report
from src.runtime.seeding import stream_seed
from src.storage.files import write_text
from src.storage.rows import dump_row


def sft_base(config: RunConfig, splits: Splits, report: Report) -> str:
    """The folder of the SFT policy, made if it is missing; the base model, if the SFT policy is an adapter."""
    cache = build_sft_cache(config, splits, report)
    return cache.base() if config.model.lora else str(cache.member(0, cache.base()))


def new_rewards(base: str, spec: RewardSpec, seed: int, device: torch.device) -> RewardModel:
    """A model with a fresh head.

    Args:
        base: folder or hub name of the model that gets the head.
        seed: of the head's weights.

    Raises:
        RunError: if the model is missing, or reads fewer than `spec.max_length` tokens.
    """
    model, tokenizer = new_reward_model(base, device, stream_seed(seed, "reward", "head"))
    return RewardModel(model, tokenizer, spec.input, spec.max_length, spec.batch_tokens)


def split_and_fit(
    rewards: RewardModel, preferences: list[Preference], ties: int, spec: RewardSpec, seed: int, report: Report
) -> tuple[list[Preference], dict[str, Any]]:
    """Holds out pairs and fits a model to the others.

    Args:
        rewards: the model, changed in place.
        ties: pairs left out of `preferences`.
        seed: of the split and of the fit.

    Returns:
        The pairs held out, and the keys of reward.json that describe the fit.

    Raises:
        RunError: if there are pairs of fewer than two prompts.
        FloatingPointError: if the loss is not finite.
    """
    train, held_out = split_by_prompt(in_drawn_order(preferences, seed), spec.held_out, seed)
    with report.stage(f"fitting: {spec.steps} steps of {spec.batch_size} pairs", spec.steps) as tick:
        loss = fit(rewards, train, spec, seed, lambda loss: tick(note=f"loss {loss:.3f}"))
    return held_out, {
        "input": spec.input,
        "max_length": spec.max_length,
        "pairs": len(train),
        "held_out_pairs": len(held_out),
        "held_out_prompts": len({preference.prompt for preference in held_out}),
        "ties_left_out": ties,
        "steps": spec.steps,
        "batch_size": spec.batch_size,
        "loss": loss,
    }


def save_and_judge(
    rewards: RewardModel, folder: Path, held_out: list[Preference], splits: Splits, report: Report
) -> dict[str, Any]:
    """Saves a model, and judges what others will load from the folder, in the precision that they load it in.

    Args:
        folder: an empty folder, which gets the model and held_out.jsonl.
        splits: the data, whose hidden facts give gold scores if it is embedded.

    Returns:
        The keys of reward.json that say how far the model can be trusted.
    """
    rewards.model.save_pretrained(folder)
    rewards.tokenizer.save_pretrained(folder)
    model, tokenizer = load_reward_model(str(folder), rewards.model.device)
    with report.stage(f"judging on {len(held_out)} held-out pairs", 1):
        figures, rows = judge_held_out(replace(rewards, model=model, tokenizer=tokenizer), held_out, splits)
    write_text(folder / "held_out.jsonl", "".join(map(dump_row, rows)))
    return figures
