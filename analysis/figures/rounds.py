"""Figure 4: win rate over F, the rounds of collection of one annotation budget."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, methods_of, subgrid
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, legend_below, panels, with_bars
from analysis.intervals import Interval
from analysis.methods import BPO_T, OFFLINE_METHOD, ON_POLICY, Method
from analysis.metrics import Metric
from analysis.names import title_of
from analysis.t_estimate import paired_t


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): F as a number, mean, standard deviation and interval over seeds.

    `slope` is that of BPO, the mean over seeds of the slopes of each seed's score over log2 F, with its t interval.
    """
    rows = []
    for task, loss, method in facts.present(grid):
        slope = _slope(grid, task, loss, method.variant, study.metric.key)
        scores = facts.scores(grid, task, loss, method, study.metric.key)
        run = facts.runs_of(grid, task, loss, method)[0]
        mean = facts.mean_interval(scores, study)
        rows.append(
            {
                "task": task, "loss": loss, "method": method.name, "F": run.row["F"], "T": run.row["T"],
                "seeds": len(scores), "mean": mean.point, "std": scores.std(ddof=1), "low": mean.low,
                "high": mean.high, "sft": facts.sft_score(grid, task, loss, study.metric.key),
                "published": facts.published(task, loss, method, study.metric.key) if study.published else np.nan,
                "slope": slope.point, "slope_low": slope.low, "slope_high": slope.high,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _slope(grid: Grid, task: str, loss: str, variant: str, key: str) -> Interval:
    """The slope of BPO's scores over log2 F, in score per doubling of F."""
    methods = [
        method
        for method in methods_of(grid)
        if method.reference == "behavior" and method.variant == variant and facts.runs_of(grid, task, loss, method)
    ]
    rounds = [facts.runs_of(grid, task, loss, method)[0].row["F"] for method in methods]
    if len(set(rounds)) < 2:
        return Interval(np.nan, np.nan, np.nan)
    scores = np.array([facts.scores(grid, task, loss, method, key) for method in methods])  # (methods, seeds)
    return paired_t(np.polyfit(np.log2(rounds), scores, 1)[0]).interval()


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """BPO over F with error bars; offline and on-policy as lines."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    for pair, rows in pairs:
        panel, rows = axes[pair], rows.set_index("method")
        own = [method for method in methods if method.name in rows.index]
        bpo = sorted((m for m in own if m.reference == "behavior"), key=lambda m: rows.loc[m.name, "F"])
        mean, low, high = (rows[name] * metric.scale for name in ("mean", "low", "high"))
        for method in own:
            if facts.base_of(method) in (OFFLINE_METHOD, ON_POLICY):
                name = method.name
                panel.axhspan(low[name], high[name], color=method.color, alpha=0.12, linewidth=0)
                dash = "--" if facts.base_of(method) == OFFLINE_METHOD else "-."
                panel.axhline(mean[name], color=method.color, linestyle=dash, label=name)
        rounds = sorted({int(rows.loc[method.name, "F"]) for method in bpo})
        at = {method: rounds.index(int(rows.loc[method.name, "F"])) for method in bpo}
        for variant in dict.fromkeys(method.variant for method in bpo):
            line = [method for method in bpo if method.variant == variant]
            label, color = (f"BPO, {variant}", line[-1].color) if variant else ("BPO", BPO_T.color)
            panel.plot(
                [at[method] for method in line], mean[[method.name for method in line]], color=color, label=label
            )
        for method in bpo:
            place, point = at[method], mean[method.name]
            panel.errorbar(
                place, point, [[max(point - low[method.name], 0)], [max(high[method.name] - point, 0)]],
                fmt=method.marker, color=method.color, capsize=4, markersize=7,
            )  # fmt: skip
            if np.isfinite(rows.loc[method.name, "published"]):
                label, _ = facts.published_label()
                panel.plot(
                    place, rows.loc[method.name, "published"] * metric.scale, "*", color="white",
                    markeredgecolor="black", markersize=11, label=label,
                )  # fmt: skip
        whole = int(rows["T"].iloc[0])
        panel.set_xticks(range(len(rounds)), ["T" if number == whole > 2 else str(number) for number in rounds])
        panel.set_xlabel("F, rounds of collection")
        panel.set_ylabel(with_bars(metric))
        panel.margins(x=0.08, y=0.1)
        if np.isfinite(rows["sft"].iloc[0]):
            level = rows["sft"].iloc[0] * metric.scale
            panel.axhline(level, color=GREY, linestyle=":", linewidth=1.2, label="SFT policy")
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} over the number of collection rounds F, all with the same annotation budget, "
        f"T={facts.values(table['T'])} steps; bars and bands: {study.bars}; dotted: the SFT policy. BPO at F=1 is the "
        f"offline method.{facts.stars(table)} "
        f"{_slopes(table, study.metric)}"
    )


def _slopes(table: pd.DataFrame, metric: Metric) -> str:
    """The sentence on the slopes of BPO; empty if there are none."""
    slopes = table.dropna(subset="slope").drop_duplicates(["task", "loss", "slope"])
    each = [
        f"{metric.show(row.slope, True)} [{metric.show(row.slope_low, True)}, {metric.show(row.slope_high, True)}] "
        f"({title_of(row.task, row.loss)})"
        for row in slopes.itertuples()
    ]
    return (
        f"Slope of BPO for every doubling of F, a line through the scores of each seed, with its 95 % t interval over "
        f"seeds: {'; '.join(each)}."
        if each
        else ""
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    rounds = {run.row["F"] for cell, run in grid.items() if cell.method.reference == "behavior"}
    return "" if len(rounds - {1}) > 1 else (
        "needs two values of F above 1 with reference=behavior; run: python -m src.train -m F=1,2,4,8,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """BPO at every F, offline and on-policy, of one allocation."""
    return subgrid(
        facts.one_allocation(grid),
        lambda cell: cell.method.reference == "behavior" or facts.base_of(cell.method) == ON_POLICY,
    )


FIGURE = Kind("fig4", "Win rate over F", cells, lacking, numbers, draw, caption)
