"""The price of a win rate: distance from the SFT policy, and length of responses."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, legend_below, panels, whole, with_bars
from analysis.methods import Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per run: score, KL to the SFT policy, tokens of responses and of human texts; means of the SFT policy.

    `mean`, `low` and `high` are those of the run's method, over seeds.
    """
    key, rows = study.metric.key, []
    ordered = sorted(grid.items(), key=lambda item: (item[0].loss, item[0].task, item[0].method, item[0].seed))
    sft = {
        (cell.task, cell.loss): {
            "sft": facts.sft_score(grid, cell.task, cell.loss, key),
            "sft_tokens": facts.sft_score(grid, cell.task, cell.loss, "response_tokens_mean"),
        }
        for cell in {cell[:2]: cell for cell in grid}.values()
    }
    means = {
        triple: facts.mean_interval(facts.scores(grid, *triple, key), study) for triple in facts.present(grid)
    }  # fmt: skip
    for cell, run in ordered:
        mean = means[cell[:3]]
        rows.append(
            {
                "task": cell.task, "loss": cell.loss, "method": cell.method.name, "seed": cell.seed,
                "score": run.row[key], "kl_sft": run.row["kl_sft"], "tokens": run.row["response_tokens_mean"],
                "label_tokens": run.row["label_tokens_mean"], "mean": mean.point, "low": mean.low,
                "high": mean.high, **sft[cell.task, cell.loss],
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric, column: str, label: str) -> Figure:
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    for pair, rows in pairs:
        panel = axes[pair]
        for method in methods:
            own = rows[rows["method"] == method.name]
            if own.empty:
                continue
            x, y = own[column], own["score"] * metric.scale
            panel.plot(x, y, method.marker, color=method.color, alpha=0.35, markersize=4, markeredgewidth=0)
            mean, low, high = (own[name].iloc[0] * metric.scale for name in ("mean", "low", "high"))
            panel.errorbar(
                x.mean(), mean, [[max(mean - low, 0)], [max(high - mean, 0)]], fmt=method.marker, color=method.color,
                markeredgecolor="black", markersize=8, elinewidth=1.2, label=method.name,
            )  # fmt: skip
        first = rows.iloc[0]
        if np.isfinite(first["sft"]):
            start = 0.0 if column == "kl_sft" else first["sft_tokens"]
            panel.plot(start, first["sft"] * metric.scale, "X", color=GREY, markersize=8, label="SFT policy")
        if column == "tokens":
            panel.axvline(rows["label_tokens"].mean(), color=GREY, linestyle=":", label="human text")
        panel.set_xlabel(label)
        panel.set_ylabel(with_bars(metric))
    legend_below(figure, list(axes.values()))
    return figure


def draw_kl(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """Score against KL: a small mark per run, a large mark per method."""
    return _draw(table, methods, metric, "kl_sft", "KL to the SFT policy (nats a response)")


def draw_length(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """Score against length: a small mark per run, a large mark per method."""
    return _draw(table, methods, metric, "tokens", "tokens a response")


def caption_kl(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} against KL(policy || SFT policy): how far each method went for what it gained. Small "
        f"marks are runs, large ones means; bars: {study.bars}."
    )


def caption_length(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} against the mean length of responses; dotted: the human texts. Small marks are runs, "
        f"large ones means; bars: {study.bars}."
    )


def nothing(grid: Grid) -> str:
    """The runs that the figure still needs: any run will do."""
    return "" if grid else "needs runs; run: python -m src.train"


KL = Kind("kl", "Win rate and KL to the SFT policy", whole, nothing, numbers, draw_kl, caption_kl)
LENGTH = Kind("length", "Win rate and length", whole, nothing, numbers, draw_length, caption_length)
