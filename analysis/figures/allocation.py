"""Allocations of one annotation budget compared: those with the same rounds and reference."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.cells import Grid, subgrid
from analysis.coverage import sentence
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, with_bars, wrapped
from analysis.intervals import Interval, aggregates
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of
from analysis.plans import read_plans
from analysis.t_estimate import paired_t

BUDGETS = ("annotated_pairs", "generated_responses")
# Budgets up to these factors count as equal. Identical responses are sampled again, by uniform allocations more often.
SLACK = {"annotated_pairs": 1.05, "generated_responses": 1.15}
# The columns of numbers beside the lines, and their right ends as shares of the width.
HEADINGS = ("minus uniform", "annotated", "generated")
COLUMNS = (0.5, 0.74, 0.99)


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): the final mean over seeds with its interval, and the budget spent.

    `over_uniform` is the difference to one pair per prompt with the same rounds and reference. `annotated_pairs` and
    `generated_responses` are means over seeds; `equal_...` tells whether that is within `SLACK` of the smallest budget
    of any method with the same rounds and reference. `fallback` is the share of planned rounds that were allocated
    uniformly instead; empty if there are no plans.
    """
    rows = []
    for (task, loss, uniform), methods in facts.by_uniform(grid).items():
        scores = {method: facts.scores(grid, task, loss, method, study.metric.key) for method in methods}
        spent = {
            (method, budget): facts.scores(grid, task, loss, method, budget).mean()
            for method in methods
            for budget in BUDGETS
        }
        least = {budget: min(spent[method, budget] for method in methods) for budget in BUDGETS}
        for method in methods:
            mean = aggregates(scores[method][:, None], study.bootstrap, None)["mean"]
            over = _over(uniform, method, scores)
            rows.append(
                {
                    "task": task, "loss": loss, "group": uniform.name, "method": method.name,
                    "how": facts.without_ensemble(method).how,
                    "seeds": len(scores[method]), "mean": mean.point, "std": scores[method].std(ddof=1),
                    "low": mean.low, "high": mean.high, "over_uniform": over.point, "over_low": over.low,
                    "over_high": over.high, "scores": " ".join(map(repr, map(float, scores[method]))),
                    **{budget: spent[method, budget] for budget in BUDGETS},
                    **{f"equal_{budget}": spent[method, budget] <= SLACK[budget] * least[budget] for budget in BUDGETS},
                    "fallback": _fallback(grid, task, loss, method),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _over(uniform: Method, method: Method, scores: Mapping[Method, np.ndarray]) -> Interval:
    if method == uniform or uniform not in scores:
        return Interval(np.nan, np.nan, np.nan)
    return paired_t(scores[method] - scores[uniform]).interval()


def _fallback(grid: Grid, task: str, loss: str, method: Method) -> float:
    plans = [plan for run in facts.runs_of(grid, task, loss, method) for plan in read_plans(run)]
    return sum(plan.fallback is not None for plan in plans) / len(plans) if plans else float("nan")


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per method, in groups of the same rounds and reference; beside it, its budget in numbers."""
    pairs = by_pair(table)
    lines = [len(rows) + rows["group"].nunique() for _, rows in pairs]
    figure = Figure(figsize=(7.6, 0.26 * sum(lines) + 0.8 * len(pairs)), layout="constrained")
    panels = figure.subplots(len(pairs), 2, squeeze=False, sharex="col", sharey="row", height_ratios=lines,
                             width_ratios=(1.0, 0.85))  # fmt: skip
    of = {method.name: method for method in methods}
    for (panel, beside), ((task, loss), rows) in zip(panels, pairs, strict=True):
        place, names = 0, []
        for group, own in rows.groupby("group", sort=False):
            names.append((place, str(group), "bold"))
            uniform = own.loc[own["how"] == "uniform", "mean"] * metric.scale
            panel.vlines(uniform, place + 0.5, place + len(own) + 0.5, color=GREY, linewidth=1, linestyle=":")
            for row in own.to_dict("records"):
                place += 1
                names.append((place, row["how"], "normal"))
                _draw_score(panel, row, place, of[row["method"]], metric)
                _write_numbers(beside, row, place, metric)
            place += 1
        panel.set_yticks([place for place, _, _ in names], [name for _, name, _ in names])
        for label, (_, _, weight) in zip(panel.get_yticklabels(), names, strict=True):
            label.set_fontweight(weight)
        panel.set_ylim(place - 0.4, -0.6)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", visible=False)
        panel.set_title(wrapped(title_of(task, loss), 3.5))
        for x, heading in zip(COLUMNS, HEADINGS, strict=True):
            beside.text(x, 0.1, heading, ha="right", va="center", fontsize=8, color=GREY)
        beside.set_xlim(0, 1)
        beside.set_axis_off()
    panels[-1][0].set_xlabel(with_bars(metric))
    if not table[[f"equal_{budget}" for budget in BUDGETS]].all(axis=None):
        hollow = Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linewidth=0)
        figure.legend([hollow], ["spent more than the cheapest of its group"], loc="outside lower center")
    return figure


def _draw_score(panel: Axes, row: Mapping, place: int, method: Method, metric: Metric) -> None:
    """Interval, mean and seeds; a hollow mark if the method spent more than others."""
    mean, low, high = (row[name] * metric.scale for name in ("mean", "low", "high"))
    equal = all(row[f"equal_{budget}"] for budget in BUDGETS)
    dots = np.array([float(score) for score in row["scores"].split()]) * metric.scale
    panel.plot(dots, np.full(len(dots), place + 0.3), ".", color=method.color, alpha=0.55, markersize=4)
    panel.errorbar(
        mean, place, xerr=[[max(mean - low, 0)], [max(high - mean, 0)]], fmt=method.marker, color=method.color,
        capsize=3, elinewidth=1.8, markersize=6, markerfacecolor=method.color if equal else "white",
    )  # fmt: skip


def _write_numbers(panel: Axes, row: Mapping, place: int, metric: Metric) -> None:
    """The difference to uniform, and both budgets; a budget is bold if the method spent more than others."""
    over, low, high = (metric.show(row[f"over_{name}"], True) for name in ("uniform", "low", "high"))
    known = np.isfinite(row["over_uniform"])
    panel.text(COLUMNS[0], place, f"{over} [{low}, {high}]".replace("-", "−") if known else "–", ha="right",
               va="center", fontsize=8)  # fmt: skip
    for x, budget in zip(COLUMNS[1:], BUDGETS, strict=True):
        weight = "normal" if row[f"equal_{budget}"] else "bold"
        panel.text(x, place, f"{row[budget]:,.0f}", ha="right", va="center", fontsize=8, fontweight=weight)


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} of the final policy by allocation of the annotation budget: mean over seeds and its "
        f"95 % percentile bootstrap interval ({study.bootstrap.reps:,} repetitions); dots are seeds. Uniform is one "
        "pair a prompt, (n, 2); only methods of the same rounds and reference are compared. Minus uniform: the "
        "mean paired difference over seeds with its 95 % t interval (not corrected for the number of methods). At the "
        "right, pairs annotated and responses generated in a run, means over seeds. "
        f"{_spending(table)} {_fallbacks(table)} {_without_uniform(table)} "
        f"{sentence(int(table['seeds'].min()), 1, ('mean',))}"
    )


def _spending(table: pd.DataFrame) -> str:
    """The sentences on equal budgets, and on methods that spent more."""
    words = {"annotated_pairs": "pairs annotated", "generated_responses": "responses generated"}
    equal = [
        f"{name} (within {100 * (SLACK[budget] - 1):.0f} %)"
        for budget, name in words.items()
        if table[f"equal_{budget}"].all()
    ]
    parts = [f"All are at equal numbers of {' and of '.join(equal)}."] if equal else []
    for budget, name in words.items():
        if more := list(dict.fromkeys(table.loc[~table[f"equal_{budget}"], "method"])):
            parts.append(f"Not at an equal number of {name} (hollow marks, bold numbers): {', '.join(more)}.")
    return " ".join(parts)


def _fallbacks(table: pd.DataFrame) -> str:
    """The sentence on methods that were allocated uniformly in some rounds; empty if there are none."""
    shares = table[table["fallback"] > 0].groupby("method", sort=False)["fallback"].mean()
    each = ", ".join(f"{name} in {share:.0%} of them" for name, share in shares.items())
    return f"Rounds too small for it were allocated uniformly: {each}." if each else ""


def _without_uniform(table: pd.DataFrame) -> str:
    lacking = [str(group) for group, own in table.groupby("group", sort=False) if "uniform" not in set(own["how"])]
    return f"Nothing to compare with, because uniform was never run: {', '.join(lacking)}." if lacking else ""


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if grid else (
        "needs two allocations with the same rounds and reference; run: "
        "python -m src.train -m allocation=uniform,balanced seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The methods from which another one differs only in the allocation."""
    several = {(task, loss, method) for (task, loss, _), methods in facts.by_uniform(grid).items() if len(methods) > 1
               for method in methods}  # fmt: skip
    return subgrid(grid, lambda cell: cell[:3] in several)


FIGURE = Kind("allocation", "Allocations at one budget", cells, lacking, numbers, draw, caption)
