"""Paired differences of methods, on every task and over all of them, as a forest plot."""

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.by_prompt import ByPrompt, compared_by_prompt
from analysis.cells import Cell, Grid, Pair, methods_of, pairs_of, subgrid
from analysis.contrasts import Contrast, common_seeds, contrasts, contrasts_of, differences
from analysis.figures.figure import GREY, Kind, Study, by_pair
from analysis.final_samples import count_of, values_by_prompt
from analysis.holm import holm
from analysis.intervals import Interval
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of
from analysis.sft_seeds import conditional_on
from analysis.t_estimate import paired_t

# Task and loss of the rows on the mean over (task, loss) pairs.
ALL = ("all", "mean of pairs")
# Columns of numbers beside the lines: heading -> right end as a share of the width.
COLUMNS = {"difference": 0.35, "Holm's p": 0.49, "not worse": 0.63, "equivalent": 0.79, "tokens": 0.89, "gold": 1.0}


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per contrast on each (task, loss) pair, and on the mean of all pairs if there are several.

    The columns are described in docs/metrics.md.
    """
    column, pairs = study.metric.column, pairs_of(grid)
    values = {cell: values_by_prompt(run, column) if column else None for cell, run in grid.items()}
    sets = [[pair] for pair in pairs] + ([pairs] if len(pairs) > 1 else [])
    rows: list[dict] = []
    for together in sets:
        name = together[0] if len(together) == 1 else ALL
        made = [(contrast, _row(grid, together, contrast, study)) for contrast in contrasts_of(grid, together)]
        for family in dict.fromkeys(contrast.family for contrast, _ in made):
            own = [row for contrast, row in made if contrast.family == family]
            for row, adjusted in zip(own, holm([row["p"] for row in own]), strict=True):
                row["holm"] = adjusted
        for contrast, row in made:
            seeds = common_seeds(grid, together, contrast)
            count = sum(count_of(grid[Cell(*pair, contrast.method, seeds[0])]) for pair in together)
            by_prompt = compared_by_prompt(values, together, contrast, seeds, count)
            rows.append({"task": name[0], "loss": name[1], **row, **_by_prompt_columns(by_prompt)})
    return pd.DataFrame(rows)


def _row(grid: Grid, pairs: Sequence[Pair], contrast: Contrast, study: Study) -> dict:
    """The columns on differences by seed; a seed's differences are averaged over pairs first."""

    def by_seed(key: str) -> np.ndarray:
        return differences(grid, pairs, contrast, key).mean(1)

    scores = by_seed(study.metric.key)
    estimate = paired_t(scores)
    wide, narrow = estimate.interval(), estimate.interval(0.9)
    # Without a standard error nothing can be claimed, and nothing denied.
    margin = study.margin if np.isfinite(estimate.se) else None
    gold = paired_t(by_seed("gold_score_mean"))
    low, high = _bounds(grid, pairs, contrast, study.metric)
    return {
        "method": contrast.method.name, "over": contrast.over.name, "family": contrast.family, "seeds": len(scores),
        "difference": estimate.mean, "std": scores.std(ddof=1) if len(scores) > 1 else None,
        "low": wide.low, "high": wide.high, "low_90": narrow.low, "high_90": narrow.high, "p": estimate.p,
        "holm": float("nan"),
        "margin": study.margin, "not_worse": _yes(margin and estimate.is_not_worse(margin)),
        "equivalent": _yes(margin and estimate.is_equivalent(margin)),
        "lowest": low, "highest": high, "tokens_difference": by_seed("response_tokens_mean").mean(),
        "gold_difference": gold.mean, "gold_low": gold.interval().low, "gold_high": gold.interval().high,
    }  # fmt: skip


def _bounds(grid: Grid, pairs: Sequence[Pair], contrast: Contrast, metric: Metric) -> tuple[float, float]:
    """Least and largest mean difference that missing judgements allow; nan if none is missing, or for scores."""
    runs = {
        method: [grid[Cell(*pair, method, seed)].row for pair in pairs for seed in common_seeds(grid, pairs, contrast)]
        for method in (contrast.method, contrast.over)
    }
    if metric.key != "win_rate" or not any(row["n_invalid"] for rows in runs.values() for row in rows):
        return float("nan"), float("nan")
    ends = {
        (method, end): float(np.mean([row[f"win_rate_{end}"] for row in rows]))
        for method, rows in runs.items()
        for end in ("lowest", "highest")
    }
    return (
        ends[contrast.method, "lowest"] - ends[contrast.over, "highest"],
        ends[contrast.method, "highest"] - ends[contrast.over, "lowest"],
    )


def _by_prompt_columns(made: ByPrompt | None) -> dict:
    interval = made.estimate.interval() if made else Interval(np.nan, np.nan, np.nan)
    return {
        "by_prompt": interval.point, "by_prompt_low": interval.low, "by_prompt_high": interval.high,
        "prompts": made.prompts if made else None, "left_out": made.left_out if made else None,
    }  # fmt: skip


def _yes(claim: float | bool | None) -> str | None:
    return None if claim is None else "yes" if claim else "no"


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per contrast with both intervals; beside it, its numbers."""
    pairs = by_pair(table)
    figure = Figure(figsize=(11.5, 0.3 * len(table) + 0.75 * len(pairs) + 0.3), layout="constrained")
    grid = figure.subplots(len(pairs), 2, squeeze=False, sharex="col", sharey="row",
                           height_ratios=[len(rows) + 1 for _, rows in pairs], width_ratios=(1.0, 1.25))  # fmt: skip
    color_of = {method.name: (method.color, method.marker) for method in methods}
    for (panel, beside), (pair, rows) in zip(grid, pairs, strict=True):
        panel.axvline(0, color="black", linewidth=1, linestyle=":")
        if (margin := rows["margin"].iloc[0] * metric.scale) > 0:
            panel.axvspan(-margin, margin, color="#eeeeee", linewidth=0, zorder=0)
        for place, row in enumerate(rows.to_dict("records")):
            _draw_intervals(panel, row, place, *color_of[row["method"]], metric)
            _write_numbers(beside, row, place, metric)
        panel.set_yticks(range(len(rows)), [f"{row.method} − {row.over}" for row in rows.itertuples()])
        panel.set_ylim(len(rows) - 0.4, -0.9)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", visible=False)
        panel.set_title("Mean of all (task, loss) pairs" if pair == ALL else title_of(*pair), loc="left")
        for heading, right in COLUMNS.items():
            beside.text(right, -0.75, heading, ha="right", va="center", fontsize=8, color=GREY)
        beside.set_xlim(0, 1)
        beside.set_axis_off()
    grid[-1][0].set_xlabel(metric.difference_label)
    return figure


def _draw_intervals(panel: Axes, row: Mapping, place: int, color: str, marker: str, metric: Metric) -> None:
    """The interval over seeds with its point; below it, thin, the one over seeds and prompts."""
    point, low, high = (row[name] * metric.scale for name in ("difference", "low", "high"))
    panel.plot([low, high], [place, place], color=color, linewidth=2.4, solid_capstyle="butt")
    panel.plot(point, place, marker, color=color, markeredgecolor="black", markersize=6)
    low, high = (row[f"by_prompt_{name}"] * metric.scale for name in ("low", "high"))
    panel.plot([low, high], [place + 0.24] * 2, color=GREY, linewidth=1.1, solid_capstyle="butt")


def _write_numbers(panel: Axes, row: Mapping, place: int, metric: Metric) -> None:
    point, low, high = (_shown(row[name], metric) for name in ("difference", "low", "high"))
    p = row["holm"]
    gold, tokens = row["gold_difference"], row["tokens_difference"]
    texts = {
        "difference": f"{point} [{low}, {high}]",
        "Holm's p": "–" if isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}",
        "not worse": row["not_worse"] if isinstance(row["not_worse"], str) else "–",
        "equivalent": row["equivalent"] if isinstance(row["equivalent"], str) else "–",
        "tokens": f"{tokens:+.1f}".replace("-", "−"),
        "gold": "–" if isnan(gold) else f"{gold:+.2f}".replace("-", "−"),
    }
    for heading, right in COLUMNS.items():
        panel.text(right, place, texts[heading], ha="right", va="center", fontsize=8)


def _shown(value: float, metric: Metric) -> str:
    return metric.show(value, signed=True).replace("-", "−")


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"Paired {study.metric.difference_label}: the two methods of a line share seeds, test prompts and, with the "
        "same seed, the SFT policy. Points and thick lines: mean over seeds with its 95 % t interval, for the prompts "
        f"evaluated. {_thin_lines(table)} {conditional_on(grid.values())} All intervals are for this judge. Holm's p: "
        "two-sided, adjusted within the comparisons with the offline method, and within those of references at F=T, of "
        "each (task, loss). "
        f"{_claims(study)} Tokens and gold: differences of the mean response length and of the mean gold score. "
        f"{_missing(table, study.metric)} {_without_spread(table)}"
    )


def _thin_lines(table: pd.DataFrame) -> str:
    there = table["by_prompt"].notna()
    if not there.any():
        return "There are no intervals over prompts, because not every run has the rows of samples.jsonl."
    left_out = int(table.loc[there & (table["task"] != ALL[0]), "left_out"].sum())
    return (
        "Thin lines: 95 % t interval for new seeds and new prompts, two-way clustered, on responses judged in both "
        f"methods{f' ({left_out:,} responses left out)' if left_out else ''}."
    )


def _claims(study: Study) -> str:
    if study.margin is None:
        return "Not worse and equivalent need a margin (--margin)."
    margin = f"{study.margin * study.metric.scale:g}{' points' if study.metric.scale == 100 else ''}"
    return (
        f"Shaded: up to {margin} either way. Not worse: a loss of {margin} or more is rejected (one-sided, 5 %). "
        f"Equivalent: differences of {margin} or more in either direction are rejected (two one-sided tests, so the "
        "90 % interval lies within)."
    )


def _missing(table: pd.DataFrame, metric: Metric) -> str:
    lines = [
        f"{row.method} − {row.over} on {row.task}, {row.loss}: {_shown(row.lowest, metric)} to "
        f"{_shown(row.highest, metric)}"
        for row in table[table["lowest"].notna()].itertuples()
    ]
    shown = "; ".join(lines[:6]) + ("; ... (tables/paired.csv)" if len(lines) > 6 else "")
    return f"Judgements are missing; bounds of the mean, whatever they are: {shown}." if lines else ""


def _without_spread(table: pd.DataFrame) -> str:
    lines = [f"{row.method} − {row.over} ({row.task})" for row in table[table["p"].isna()].itertuples()]
    return f"No interval where the difference is the same for all seeds: {', '.join(lines[:6])}." if lines else ""


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if any(contrasts_of(grid, [pair]) for pair in pairs_of(grid)) else (
        "needs F=1 and another method, with seeds in common; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The methods that are compared with another one on their (task, loss) pair."""
    compared = {
        (*pair, method)
        for pair in pairs_of(grid)
        for contrast in contrasts(methods_of(subgrid(grid, lambda cell, pair=pair: cell[:2] == pair)))  # type: ignore[misc]
        for method in (contrast.method, contrast.over)
    }
    return subgrid(grid, lambda cell: cell[:3] in compared)


FIGURE = Kind("paired", "Paired differences", cells, lacking, numbers, draw, caption)
