"""The clusters of candidate pairs that a balanced allocation chose from, in one round of one run."""

from collections.abc import Sequence
from itertools import cycle, islice

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.cells import Cell, Grid, subgrid
from analysis.colors import PALETTE, between
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, wrapped
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of
from analysis.plans import Plan, plan_files, read_plans
from analysis.runs import Run

COLORS = (*PALETTE, *(between(color, "#000000", 0.45) for color in PALETTE))
COLUMNS = 3
# Most points in a panel, for the size of the table and of the page.
POINTS = 6_000


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per candidate pair of the first round with clusters, of one run per (task, loss, method).

    `depth` is the number of pairs chosen from the pair's prompt, `of` the number of candidates in the round. Of more
    than `POINTS` candidates, every second, third, ... is a row.
    """
    rows: list[dict] = []
    for task, loss, method in facts.present(grid):
        seed, plan = next((cell.seed, _first(run)) for cell, run in grid.items() if cell[:3] == (task, loss, method))
        assert plan is not None
        for pair in plan.pairs[:: -(-len(plan.pairs) // POINTS)]:
            rows.append(
                {
                    "task": task, "loss": loss, "method": method.name, "seed": seed, "round": plan.round,
                    "of": len(plan.pairs), "prompts": len(plan.depths), "prompt": pair.prompt,
                    "cluster": pair.cluster, "closeness": float(f"{pair.closeness:.4g}"), "chosen": pair.chosen,
                    "depth": plan.depths.get(pair.prompt, 0), "x": float(f"{pair.x:.4g}"),
                    "y": float(f"{pair.y:.4g}"),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _first(run: Run) -> Plan | None:
    """The plan of a run's first round that has clusters."""
    return next((plan for plan in read_plans(run) if plan.pairs), None)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A panel per (task, loss, method): chosen pairs in their cluster's color, larger for larger depths."""
    panels = [(pair, list(rows.groupby("method", sort=False))) for pair, rows in by_pair(table)]
    columns = min(COLUMNS, max(len(own) for _, own in panels))
    lines = [-(-len(own) // columns) for _, own in panels]
    figure = Figure(figsize=(2.6 * columns + 0.4, 2.7 * sum(lines) + 0.9), layout="constrained")
    grid = figure.subplots(sum(lines), columns, squeeze=False)
    for place, ((task, loss), own) in enumerate(panels):
        holders = grid[sum(lines[:place]) : sum(lines[: place + 1])].ravel()
        for holder, (method, rows) in zip(holders, own, strict=False):
            _draw_panel(holder, rows)
            holder.set_title(wrapped(f"{title_of(task, loss)}\n{method}", 2.4, 8.5), fontsize=8.5)
        for holder in holders[len(own) :]:
            holder.set_axis_off()
    depths = sorted({int(depth) for depth in table.loc[table["chosen"], "depth"]})
    shown = depths if len(depths) < 6 else [depths[0], depths[len(depths) // 2], depths[-1]]
    handles = [_mark(f"chosen, its prompt with {facts.counted(depth, 'pair')}", _size(depth), GREY) for depth in shown]
    handles.append(_mark("candidate, not chosen", _size(0), "#c8c8c8"))
    # A name is some 2.3 inches wide: two columns fit beside each other from two panels on.
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, 2, len(handles)))
    figure.set_figheight(figure.get_figheight() + 0.2 * len(handles) / min(columns, 2))
    return figure


def _draw_panel(panel: Axes, rows: pd.DataFrame) -> None:
    clusters = sorted(set(rows["cluster"]))
    colors = dict(zip(clusters, islice(cycle(COLORS), len(clusters)), strict=True))
    left = rows[~rows["chosen"]]
    # Points are rasterized: as thousands of vector shapes they would take megabytes.
    panel.scatter(
        left["x"], left["y"], s=_size(0), c=[between(colors[cluster], "#ffffff", 0.6) for cluster in left["cluster"]],
        linewidths=0, rasterized=True,
    )  # fmt: skip
    taken = rows[rows["chosen"]].sort_values("depth", ascending=False, kind="stable")
    panel.scatter(
        taken["x"], taken["y"], s=[_size(depth) for depth in taken["depth"]],
        c=[colors[cluster] for cluster in taken["cluster"]], linewidths=0.3, edgecolors="white", rasterized=True,
    )  # fmt: skip
    for cluster, own in rows.groupby("cluster"):
        panel.annotate(
            str(cluster), (own["x"].median(), own["y"].median()), ha="center", va="center", fontsize=7.5,
            fontweight="bold", bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.85,
                                     "edgecolor": colors[cluster], "linewidth": 1.0},
        )  # fmt: skip
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_aspect("equal", adjustable="datalim")


def _size(depth: int) -> float:
    """The area of a mark in square points, larger for a larger depth; depth 0 is a candidate that was not chosen."""
    return 3.0 + 5.0 * depth


def _mark(label: str, size: float, color: str) -> Line2D:
    return Line2D([], [], linewidth=0, marker="o", markersize=size**0.5, color=color, markeredgewidth=0, label=label)


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    first = table.groupby(["task", "loss", "method"], sort=False).first()
    thinned = " Of more candidates than can be shown, every second, third, ... is there." if (
        table.groupby(["task", "loss", "method"], sort=False).size() < first["of"]
    ).any() else ""  # fmt: skip
    return (
        "Candidate pairs by the direction of their features (of their gradients, if the allocation does not say "
        "otherwise) along the two principal ones, colored and numbered by cluster; the numbers of two panels have "
        "nothing to do with each other. "
        f"Round {facts.values(first['round'] + 1)} of one run each, seed {facts.values(first['seed'])}: no mean over "
        "seeds, and another seed looks different. Chosen pairs are the larger the more pairs of their prompt were "
        "chosen, the others light. Candidates a panel: "
        f"{facts.values(first['of'])} of {facts.values(first['prompts'])} prompts.{thinned} Two directions of many: "
        "clusters that overlap here may lie apart in others. Pairs of one prompt share responses and are not "
        "independent."
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if grid else (
        "needs runs on disk that clustered pairs (pairs/plan_*.json with a cluster and xy); run: "
        "python -m src.train allocation=balanced -m seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """Of every (task, loss, method) that clustered pairs the run of the first seed."""
    first: dict[tuple, Cell] = {}
    for cell in sorted(grid):
        if cell[:3] not in first and plan_files(grid[cell]) and _first(grid[cell]) is not None:
            first[cell[:3]] = cell
    return subgrid(grid, lambda cell: first.get(cell[:3]) == cell)


FIGURE = Kind("clusters", "Clusters of candidate pairs", cells, lacking, numbers, draw, caption, of_single_runs=True)
