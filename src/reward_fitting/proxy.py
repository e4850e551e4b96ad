"""The reward model of `oracle=proxy`: fitted once to pairs of the SFT policy, and kept in the cache beside it."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from src.allocation.uniform import Uniform
from src.build import build_sft_cache
from src.collection.sampled_pairs import SampledPairs
from src.config import RunConfig
from src.data.splits import Splits
from src.learning.keyed_folders import KeyedFolders
from src.oracles.proxy import ProxyOracle
from src.reward_fitting.collect import collect_preferences
from src.reward_fitting.fit_and_judge import new_rewards, save_and_judge, sft_base, split_and_fit
from src.reward_fitting.spec import RewardSpec
from src.runtime import processes
from src.runtime.device import choose_device
from src.runtime.report import Report
from src.storage.files import local_path, write_text
from src.storage.rows import dump_row, read_rows

FORMAT = 2  # part of every key: to be raised when the same settings begin to give other models
# Settings of the oracle that do not shape the model.
NOT_SHAPING = ("batch_tokens", "device", "temperature", "flip")


def with_fitted_proxy(config: RunConfig, splits: Splits, run: Path, report: Report) -> RunConfig:
    """Puts the fitted reward model in the place of `oracle=proxy`; any other configuration stays as it is.

    Args:
        run: the run's folder, whose proxy.json gets the model's folder and figures.

    Raises:
        RunError: if the SFT policy or the reward model cannot be made.
        FloatingPointError: if the loss of the fit is not finite.
    """
    proxy = config.oracle
    if not isinstance(proxy, ProxyOracle) or config.collect.from_data:
        return config
    # The main process makes it alone: one process holds the lock of the cache.
    folder = processes.from_main(lambda: _folder(config, proxy, splits, report))
    [facts] = read_rows(folder / "reward.json")
    processes.from_main(lambda: write_text(run / "proxy.json", dump_row({"path": str(folder), **facts})))
    report.say(_summary(facts, folder))
    return replace(config, oracle=proxy.fitted(folder))


def _folder(config: RunConfig, proxy: ProxyOracle, splits: Splits, report: Report) -> Path:
    """The folder of the reward model in the cache, made if it is missing or damaged."""
    sft = build_sft_cache(config, splits, report)
    base = sft.base()
    key = {
        "format": FORMAT,
        # Their names are hashes of all that determines the SFT policy, its data and the limits of its texts.
        "sft": [sft.member(index, base).name for index in range(config.ensemble)],
        "annotator": proxy.annotator.name,
        "oracle": {name: value for name, value in asdict(proxy).items() if name not in NOT_SHAPING},
        "libraries": [torch.__version__, transformers.__version__],
    }

    def make(folder: Path) -> dict[str, Any]:
        started = time.perf_counter()
        write_text(folder / "reward.json", dump_row(_fitted(config, proxy, splits, folder, report)))
        return {"what": "reward model of oracle=proxy", "seconds": time.perf_counter() - started}

    return KeyedFolders(local_path(config.cache), {}, report).get("proxy", key, make)


def _fitted(config: RunConfig, proxy: ProxyOracle, splits: Splits, folder: Path, report: Report) -> dict[str, Any]:
    """Samples pairs from the SFT policy, fits the model and saves it; returns reward.json."""
    count = proxy.pairs + proxy.held_out_pairs
    spec = RewardSpec(
        count=count,
        held_out=proxy.held_out_pairs / count,
        path=None,
        input=proxy.input,
        max_length=proxy.max_length,
        batch_tokens=proxy.batch_tokens,
        steps=proxy.steps,
        batch_size=proxy.batch_size,
        learning_rate=proxy.learning_rate,
    )
    # One pair a prompt, of the SFT policy itself: how the run collects its own pairs does not change its proxy.
    sampling = replace(
        config,
        oracle=proxy.annotator,
        allocation=Uniform(depth=1),
        collect=SampledPairs(temperature=1.0, top_k=0, top_p=1.0, resample=3),
        seed=proxy.seed,
    )
    base = sft_base(config, splits, report)
    rewards = new_rewards(base, spec, proxy.seed, choose_device(proxy.device))
    preferences, ties = collect_preferences(sampling, count, splits, report)
    held_out, facts = split_and_fit(rewards, preferences, ties, spec, proxy.seed, report)
    return {"base": base, "runs": [], **facts, **save_and_judge(rewards, folder, held_out, splits, report)}


def _summary(facts: dict[str, Any], folder: Path) -> str:
    """One line: the pairs fitted, and the agreement on held-out pairs."""
    kinds = {"gold_agreement": "the gold score", "accuracy": "the labels"}
    agreements = " and ".join(
        f"{share['value']:.1%} [{share['low']:.1%}, {share['high']:.1%}] with {name}"
        for key, name in kinds.items()
        if (share := facts[key]) is not None
    )
    return (
        f"proxy: fitted to {facts['pairs']} pairs; agreement on {facts['held_out_pairs']} held-out pairs: "
        f"{agreements} ({folder})"
    )
