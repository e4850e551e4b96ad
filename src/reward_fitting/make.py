"""Making a reward model: collect pairs, fit, save, and judge the saved model on held-out pairs."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from src.build import build_sft_cache, quiet_libraries
from src.config import RunConfig
from src.data.splits import Splits
from src.models.pretrained_reward import load_reward_model, new_reward_model
from src.models.reward_model import RewardModel
from src.reward_fitting.collect import collect_preferences
from src.reward_fitting.config import RewardConfig, read_reward_config
from src.reward_fitting.fit import fit
from src.reward_fitting.held_out import judge_held_out
from src.reward_fitting.preferences import Preference, in_drawn_order, split_by_prompt
from src.reward_fitting.run_pairs import run_preferences
from src.reward_fitting.show import show
from src.runtime.cpu_threads import use_processor
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError
from src.runtime.report import Report
from src.runtime.seeding import stream_seed
from src.storage.files import new_folder, write_text, writing
from src.storage.rows import dump_row, read_rows
from src.storage.run_name import config_hash


def make(plain: dict[str, Any]) -> None:
    """Fits the reward model of a configuration and prints how it does; only prints, if the model is there.

    Args:
        plain: conf/reward.yaml composed, as plain dicts. force=true fits a model that is there again.

    Raises:
        ConfigError: if the configuration cannot run.
        RunError: if the model cannot be made, or the folder has a model of another configuration. The folder is then
            left as it was.
        FloatingPointError: if the loss is not finite.
    """
    config, own, problems = read_reward_config(plain)
    if config is None or own is None or problems:
        raise ConfigError(problems)
    quiet_libraries()
    report = Report()
    out, identity = Path(own.out), config_hash(plain)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.parent / f".{out.name}.lock", timeout=0):
            finished = read_rows(out / "reward.json")
            if finished and not config.force:
                if finished[0]["config_hash"] != identity:
                    raise RunError(f"{out} holds a reward model of another configuration; force=true makes it afresh")
                report.say(f"{out} is finished; force=true makes it afresh")
                facts = finished[0]
            else:
                report.say(use_processor())
                with report.live():
                    facts = _make(config, own, identity, report)
    except Timeout:
        raise RunError(f"another process is making {out}; wait for it, or choose another out=DIR") from None
    show(facts, out, report)


def _make(config: RunConfig, own: RewardConfig, identity: str, report: Report) -> dict[str, Any]:
    """Fits the model and saves it; returns reward.json."""
    started = time.perf_counter()
    spec, device = own.reward, choose_device(config.device)
    splits = config.data.load(config.task.name)
    base = _sft_base(config, splits, report) if spec.path is None else spec.path
    model, tokenizer = new_reward_model(base, device, stream_seed(config.seed, "reward", "head"))
    rewards = RewardModel(model, tokenizer, spec.input, spec.max_length, spec.batch_tokens)
    # The model is loaded first, since it may be missing or too short for max_length, and collecting takes long.
    preferences, ties = (
        run_preferences(own.runs) if own.runs else collect_preferences(config, spec.count, splits, report)
    )
    train, held_out = split_by_prompt(in_drawn_order(preferences, config.seed), spec.held_out, config.seed)
    with report.stage(f"fitting: {spec.steps} steps of {spec.batch_size} pairs", spec.steps) as tick:
        loss = fit(rewards, train, spec, config.seed, lambda loss: tick(note=f"loss {loss:.3f}"))
    facts = {
        "config_hash": identity,
        "base": base,
        "input": spec.input,
        "max_length": spec.max_length,
        "runs": [str(run) for run in own.runs],
        "pairs": len(train),
        "held_out_pairs": len(held_out),
        "held_out_prompts": len({preference.prompt for preference in held_out}),
        "ties_left_out": ties,
        "steps": spec.steps,
        "batch_size": spec.batch_size,
        "loss": loss,
    }
    with new_folder(Path(own.out)) as partial:
        figures, rows = _saved_and_judged(rewards, partial, device, held_out, splits, report)
        facts |= figures | {"seconds": time.perf_counter() - started}
        write_text(partial / "held_out.jsonl", "".join(map(dump_row, rows)))
        write_text(partial / "reward.json", dump_row(facts))
    return facts


def _sft_base(config: RunConfig, splits: Splits, report: Report) -> str:
    """The folder of the SFT policy, made if it is missing; the base model, if the SFT policy is an adapter."""
    cache = build_sft_cache(config, splits, report)
    return cache.base() if config.model.lora else str(cache.member(0, cache.base()))


def _saved_and_judged(
    rewards: RewardModel,
    folder: Path,
    device: torch.device,
    held_out: list[Preference],
    splits: Splits,
    report: Report,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Saves a model, and judges what others will load from the folder, in the precision that they load it in."""
    rewards.model.save_pretrained(folder)
    rewards.tokenizer.save_pretrained(folder)
    model, tokenizer = load_reward_model(str(folder), device)
    with report.stage(f"judging on {len(held_out)} held-out pairs", 1):
        return judge_held_out(replace(rewards, model=model, tokenizer=tokenizer), held_out, splits)
