"""Whether offline runs (F=1) end where a loss, its beta and its reference matter: stage 0 of docs/preregistration.md.

    python -m sweeps.regime outputs --rows docs/results/stage0.jsonl

For every finished F=1 run below the folder: the size of beta times the margin at the end, the KL to the SFT policy, how
many responses are cut or repeated, what the best of 64 responses of the SFT policy would reach, and how far the updates
of DPO and SLiC point in one direction (where both were run). No run with F above 1 is read.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from src.after_training.finished_run import FinishedRun, read_finished_run
from src.build import build_sampler, build_sft_cache, quiet_libraries
from src.cli.read_config import read_config
from src.config import RunConfig
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.evaluation.diversity import unique_rate
from src.inference.scorer import scorer_for
from src.inference.uniforms import PromptKeys, response_keys
from src.models.policy import Policy
from src.models.saved_weights import Weights
from src.models.template import template_of
from src.oracles.gold import GoldOracle
from src.runtime.report import Report
from src.runtime.seeding import stream_seed
from src.storage.files import write_text
from src.storage.rows import dump_row, read_rows

LAST_STEPS = 8
BEST_OF, BEST_OF_PROMPTS = 64, 200
# Prompts whose first responses have to differ.
UNIQUE_PROMPTS = 500
# What a regime has to be like, in the order of the columns: from, to.
ACCEPTED = {
    "margin": (0.5, 2.0),
    "kl_sft": (3.0, 15.0),
    "cut": (0.0, 0.05),
    "unique": (0.9, 1.0),
    "sft_win_rate": (0.3, 0.5),
    "headroom": (1.0, np.inf),
}
SAME_UPDATE = 0.98


@dataclass(frozen=True)
class Regime:
    """Where an offline run has ended.

    Attributes:
        margin: mean of beta times the margin over the last 8 steps.
        kl_sft: KL to the SFT policy, nats a response.
        cut: share of responses at the length limit.
        unique: distinct first responses to 500 test prompts, as a share.
        headroom: (mean best gold score of 64 responses of the SFT policy - mean gold score of the run) / standard
            deviation of the run's gold scores, on 200 test prompts.
        cosine: of this run's update and that of the same run with the other loss; None without such a run.
    """

    run: str
    task: str
    loss: str
    T: int
    learning_rate: float
    beta: float
    seed: int
    win_rate: float
    win_rate_se: float
    sft_win_rate: float
    margin: float
    kl_sft: float
    cut: float
    unique: float
    headroom: float
    cosine: float | None

    def misses(self) -> list[str]:
        """The criteria that the run does not meet."""
        return [name for name, (low, high) in ACCEPTED.items() if not low <= getattr(self, name) <= high]


def cell(run: FinishedRun) -> tuple[Any, ...]:
    """What two runs that differ in their loss alone have in common."""
    config = run.config
    return run.result["task"], run.result["T"], config["learning_rate"], config["loss"]["beta"], run.result["seed"]


class SftPolicies:
    """The SFT policies that the runs started from, and the best of their responses; one policy is held at a time."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.best: dict[str, float] = {}

    def of(self, run: FinishedRun) -> tuple[RunConfig, Splits, Policy]:
        """The configuration, the data and the SFT policy of a run."""
        config, problems = read_config(run.config)
        assert config is not None, problems
        splits = config.data.load(config.task.name)
        return config, splits, build_sft_cache(config, splits, self.report).policy(config.ensemble)

    def best_score(self, run: FinishedRun, config: RunConfig, splits: Splits, policy: Policy) -> float:
        """Mean over prompts of the best gold score of 64 responses."""
        known = run.result["sft_fingerprint"]
        if known not in self.best:
            template = template_of(policy, config.model.template)
            rows = splits.named()[run.result["split"]]
            prompts = tokenize(rows, template, config.task.max_prompt_tokens, "test", BEST_OF_PROMPTS)
            keys = response_keys(PromptKeys(stream_seed(config.seed, "best-of")).take(len(prompts)), 0, BEST_OF)
            sampler = build_sampler(config, scorer_for(policy.model, config.model.tokens, self.report.warn), 1.0)
            with policy.using(policy.mean()) as model:
                groups = sampler.sample(model, [prompt.ids for prompt in prompts], keys, template.end_ids)
            gold = GoldOracle(0.0, 0.0)
            self.best[known] = fmean(
                max(gold.score(splits.world, [prompt] * BEST_OF, [template.text(ids) for ids in group]))
                for prompt, group in zip(prompts, groups, strict=True)
            )
        return self.best[known]


def update(run: FinishedRun, policy: Policy) -> torch.Tensor:
    """The run's weights minus those of its SFT policy, as one vector."""
    trained: Weights = policy.read_weights(run.path / "policy")
    return torch.cat([(trained[name] - tensor).flatten() for name, tensor in sorted(policy.mean().items())])


def regime(run: FinishedRun, others: Mapping[tuple[str, tuple[Any, ...]], FinishedRun], sfts: SftPolicies) -> Regime:
    """Computes where a run has ended.

    Args:
        others: all runs, by loss and cell.
    """
    config, splits, policy = sfts.of(run)
    result, samples = run.result, run.samples_of(run.result)
    lengths = np.array([row["response_tokens"] for row in samples])
    gold = np.array([row["gold_score"] for row in samples])
    other = others.get(("slic" if result["loss"] == "dpo" else "dpo", cell(run)))
    cosine = None
    if other is not None:
        cosine = float(torch.cosine_similarity(update(run, policy), update(other, policy), dim=0))
    return Regime(
        run=run.path.name,
        task=result["task"],
        loss=result["loss"],
        T=result["T"],
        learning_rate=run.config["learning_rate"],
        beta=run.config["loss"]["beta"],
        seed=result["seed"],
        win_rate=result["win_rate"],
        win_rate_se=result["win_rate_se"],
        sft_win_rate=next(row["win_rate"] for row in run.results if row["round"] == -1),
        margin=fmean(row["rewards/margins"] for row in run.metrics[-LAST_STEPS:]),
        kl_sft=result["kl_sft"],
        cut=float((lengths >= config.task.max_new_tokens).mean()),
        unique=unique_rate([row["response"] for row in samples if row["sample"] == 0][:UNIQUE_PROMPTS]),
        headroom=float((sfts.best_score(run, config, splits, policy) - gold.mean()) / gold.std()),
        cosine=cosine,
    )


def show(rows: list[Regime], console: Console) -> None:
    """Prints a row for each cell: means over seeds, and how many of its runs miss which criterion."""
    names = ["margin", "kl_sft", "cut", "unique", "sft_win_rate", "headroom"]
    table = Table("task", "T", "rate", "beta", "loss", "seeds", "win rate", *names, "cosine", "misses")
    cells: dict[tuple[Any, ...], list[Regime]] = {}
    for row in rows:
        cells.setdefault((row.task, row.T, row.learning_rate, row.beta, row.loss), []).append(row)
    for (task, T, rate, beta, loss), runs in sorted(cells.items()):
        cosines = [row.cosine for row in runs if row.cosine is not None]
        misses = [name for row in runs for name in row.misses()]
        table.add_row(
            task, str(T), f"{rate:g}", f"{beta:g}", loss, str(len(runs)), f"{fmean(row.win_rate for row in runs):.1%}",
            *(f"{fmean(getattr(row, name) for row in runs):.3g}" for name in names),
            f"{fmean(cosines):.3f}" if cosines else "-",
            ", ".join(f"{name} {misses.count(name)}" for name in ACCEPTED if name in misses) or "accepted",
        )  # fmt: skip
    console.print(table)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    title, _, details = (__doc__ or "").partition("\n\n")
    made = argparse.ArgumentParser(
        "python -m sweeps.regime", description=title, epilog=details,
        formatter_class=argparse.RawTextHelpFormatter,
    )  # fmt: skip
    made.add_argument("folder", type=Path, help="runs are below it")
    made.add_argument("--rows", type=Path, metavar="FILE", help="rows computed before are read here, all are written")
    return made


def main() -> None:
    """The command."""
    given = parser().parse_args()
    quiet_libraries()
    console = Console(soft_wrap=True)
    found = [read_finished_run(sums.parent) for sums in sorted(given.folder.glob("*/SHA256SUMS"))]
    offline = [run for run in found if run.result["F"] == 1]
    by_cell = {(run.result["loss"], cell(run)): run for run in offline}
    kept = {} if given.rows is None or not given.rows.is_file() else {row["run"]: row for row in read_rows(given.rows)}
    sfts = SftPolicies(Report())
    for run in offline:
        row = kept.get(run.path.name)
        paired = ("slic" if run.result["loss"] == "dpo" else "dpo", cell(run)) in by_cell
        if row is None or (row["cosine"] is None and paired):
            kept[run.path.name] = asdict(regime(run, by_cell, sfts))
    rows = sorted(kept.values(), key=lambda row: json.dumps(row["run"]))
    if given.rows is not None:
        write_text(given.rows, "".join(map(dump_row, rows)))
    show([Regime(**row) for row in rows], console)


if __name__ == "__main__":
    main()
