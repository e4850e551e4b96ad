"""Every figure, drawn from all sorts of tables."""

import numpy as np
import pandas as pd
import pytest

from analysis.cells import Cell, Grid, methods_of
from analysis.drawn import read_table
from analysis.figures import facts
from analysis.figures.curves import curves, points_of, prompts_of
from analysis.figures.figure import Kind, legend_below, look, panels, rendered
from analysis.figures.kinds import KINDS
from analysis.methods import BPO_2, OFFLINE_METHOD
from analysis.runs import Run
from tests.analysis.made_figures import OF_ROWS, STUDY, grid
from tests.analysis.made_runs import row

pytestmark = pytest.mark.slow


def drawn(kind: Kind, cells: Grid) -> tuple[pd.DataFrame, bytes]:
    own = kind.cells(cells)
    assert kind.lacking(own) == ""
    table = read_table(kind.numbers(own, STUDY).to_csv(index=False))
    with look():
        picture = rendered(kind.draw(table, methods_of(own), STUDY.metric), "svg")
    assert kind.caption(own, table, STUDY)
    return table, picture


@pytest.mark.parametrize("kind", OF_ROWS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "cells",
    [
        grid(),
        pytest.param(grid(tied=True), marks=pytest.mark.nightly),
        pytest.param(
            grid(tasks=("a task of one's own <&>",), losses=("truncated",), seeds=2), marks=pytest.mark.nightly
        ),
        pytest.param(grid(losses=("dpo", "ipo")), marks=pytest.mark.nightly),
    ],
    ids=["paper", "ties", "odd names", "two losses"],
)
def test_every_figure_is_drawn_the_same_twice(kind: Kind, cells: Grid) -> None:
    table, picture = drawn(kind, cells)
    assert len(table) and picture == drawn(kind, cells)[1]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_too_little_is_answered_with_a_command(kind: Kind) -> None:
    little = {cell: run for cell, run in grid(tasks=("tldr",)).items() if cell.method.name == "BPO F=8, ensemble 1"}
    short = {cell: Run(run.where, run.row, (), {}, None) for cell, run in little.items()}
    if kind.name in ("kl", "length"):
        assert "python -m src.train" in kind.lacking({})
    else:
        assert "python -m src.train" in kind.lacking(kind.cells(short))


def test_the_papers_four_cells_and_no_other() -> None:
    variants = {
        (task, loss, method.name): facts.published(task, loss, method, "win_rate")
        for task in ("tldr", "helpfulness", "harmlessness")
        for loss in ("dpo", "ipo", "slic")
        for method in methods_of(grid())
    }
    base = {
        (task, loss, method): facts.published(task, loss, method, "win_rate")
        for task in ("tldr", "helpfulness", "harmlessness")
        for loss in ("dpo", "ipo", "slic")
        for method in map(facts.base_of, methods_of(grid()))
    }
    assert np.isnan(list(variants.values())).all(), "variants are not the paper's runs"
    known = {
        ("tldr", "dpo", OFFLINE_METHOD): 0.72, ("tldr", "dpo", BPO_2): 0.802,
        ("helpfulness", "dpo", OFFLINE_METHOD): 0.822, ("helpfulness", "dpo", BPO_2): 0.891,
    }  # fmt: skip
    assert {key: value for key, value in base.items() if not np.isnan(value)} == pytest.approx(known)
    assert np.isnan(facts.published("tldr", "dpo", BPO_2, "judge_score_mean"))


def test_curves_are_means_over_seeds_and_leave_out_steps_that_a_seed_lacks() -> None:
    runs = {}
    for seed, rates in enumerate([(0.5, 0.6), (0.7, 0.8)]):
        during = [
            row(int(rate * 200), split="validation", round=0, step=step, seconds=step, annotated_pairs=10 * step)
            for step, rate in zip((0, 8), rates, strict=True)
        ]
        if seed:
            during.append(row(100, split="validation", round=0, step=16))
        sft = row(10, round=-1, step=0)
        runs[Cell("tldr", "dpo", BPO_2, seed)] = Run("x", row(160, seed=seed), (*during, sft), {}, None)
    table = curves(runs, STUDY)
    assert table["step"].tolist() == [0, 8, 64] and table["final"].tolist() == [False, False, True]
    assert table["mean"].tolist() == pytest.approx([0.6, 0.7, 0.8])
    assert table["std"].tolist() == pytest.approx([0.02**0.5, 0.02**0.5, 0.0])
    assert points_of(table)["step"].tolist() == [0, 8]
    said = "on 200 prompts of the validation split; the final evaluation, on test, is not a point of them"
    assert prompts_of(table) == said


def test_a_final_evaluation_on_the_same_prompts_is_a_point_of_the_curve() -> None:
    table = pd.DataFrame({"step": [0, 8], "split": "validation", "n_prompts": 200, "final": [False, True]})
    assert points_of(table)["step"].tolist() == [0, 8]


@pytest.mark.parametrize(
    ("numbers", "said"), [([0, 1, 2, 3], "0-3"), ([0, 1], "0, 1"), ([3], "3"), ([0, 2, 3], "0, 2, 3")]
)
def test_seeds_in_words(numbers: list[int], said: str) -> None:
    assert facts.spans(numbers) == said


@pytest.mark.parametrize(("same", "said"), [([True], "also the oracle that"), ([False], "another one, gold, labelled"),
                                            ([True, False], "in some runs and not in others")])  # fmt: skip
def test_captions_say_whether_judge_and_oracle_are_the_same(same: list[bool], said: str) -> None:
    cells = {
        Cell("tldr", "dpo", BPO_2, seed): Run("x", row(judge_is_oracle=one), (), {}, None)
        for seed, one in enumerate(same)
    }
    assert said in facts.basis(cells)


@pytest.mark.parametrize(("tasks", "columns"), [(1, 2), (3, 4)])
def test_a_legend_has_as_many_columns_as_fit(tasks: int, columns: int) -> None:
    figure, axes = panels([(f"task {number}", "dpo") for number in range(tasks)])
    for name in ("SFT policy", "Offline (F=1)", "BPO F=2", "BPO F=8", "On-policy (F=T)"):
        next(iter(axes.values())).plot([0, 1], [0, 1], label=name)
    legend_below(figure, list(axes.values()))
    [legend] = figure.legends
    assert legend._ncols == columns
    assert legend.get_window_extent().width <= figure.bbox.width
