"""What `src.reward` does: collects pairs, then fits, saves and judges a reward model."""

import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src.build import quiet_libraries
from src.config import RunConfig
from src.reward_fitting.collect import collect_preferences
from src.reward_fitting.config import RewardConfig, read_reward_config
from src.reward_fitting.fit_and_judge import new_rewards, save_and_judge, sft_base, split_and_fit
from src.reward_fitting.run_pairs import run_preferences
from src.reward_fitting.show import show
from src.runtime.cpu_threads import use_processor
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError
from src.runtime.report import Report
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
    spec, seed = own.reward, config.seed
    splits = config.data.load(config.task.name)
    base = sft_base(config, splits, report) if spec.path is None else spec.path
    rewards = new_rewards(base, spec, seed, choose_device(config.device))
    # The model is loaded first, since it may be missing or too short for max_length, and collecting takes long.
    preferences, ties = (
        run_preferences(own.runs) if own.runs else collect_preferences(config, spec.count, splits, report)
    )
    held_out, facts = split_and_fit(rewards, preferences, ties, spec, seed, report)
    facts = {"config_hash": identity, "base": base, "runs": [str(run) for run in own.runs], **facts}
    with new_folder(Path(own.out)) as partial:
        facts |= save_and_judge(rewards, partial, held_out, splits, report)
        facts["seconds"] = time.perf_counter() - started
        write_text(partial / "reward.json", dump_row(facts))
    return facts
