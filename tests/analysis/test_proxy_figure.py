"""The figure of over-optimization: proxy and gold score against KL."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.cells import Grid, make_grid, methods_of
from analysis.drawn import as_csv, read_table
from analysis.figures import proxy
from analysis.figures.figure import Study, look, rendered
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.runs import Run
from tests.analysis.made_runs import METHODS, row

STUDY = Study(METRICS["win_rate"], Bootstrap(100, 0, lambda done: None))
ORACLE = {"oracle": "learned", "judge_is_oracle": False}
# Step -> (KL, proxy score, gold score) of a run that over-optimizes.
COURSE = {0: (0.0, 1.0, 5.0), 16: (2.0, 2.0, 7.0), 32: (5.0, 2.5, 9.0), 48: (9.0, 3.0, 6.0)}


def run(method: str = "bpo2", seed: int = 0, scale: float = 1.0, **changes: Any) -> Run:
    own = ORACLE | METHODS[method] | {"seed": seed} | changes
    during = [
        row(100, **own | {"split": "validation", "round": 0, "step": step, "kl_sft": kl,
                          "proxy_score_mean": 1 + scale * (proxy_score - 1), "gold_score_mean": gold})
        for step, (kl, proxy_score, gold) in COURSE.items()
    ]  # fmt: skip
    sft = row(90, **own | {"round": -1, "step": 0, "kl_sft": 0.0, "proxy_score_mean": 0.5, "gold_score_mean": 4.0})
    last = row(120, **own | {"kl_sft": 10.0, "proxy_score_mean": 2.5, "gold_score_mean": 5.0})
    return Run(f"{method} {seed}", last, (*during, sft), {}, None)


def grid_of(*runs: Run) -> Grid:
    found, _, problems = make_grid(runs)
    assert problems == []
    return found


def table_of(grid: Grid) -> pd.DataFrame:
    return read_table(as_csv(proxy.numbers(proxy.cells(grid), STUDY)))


def test_gains_are_over_the_sft_policy_on_the_same_prompts_and_relative_to_the_largest_one() -> None:
    table = table_of(grid_of(run()))
    assert table["step"].tolist() == [0, 16, 32, 48, 64] and table["final"].tolist() == [False] * 4 + [True]
    # Proxy gains 0, 1, 1.5, 2, and 2.5 - 0.5 = 2 at the end; gold gains 0, 2, 4, 1, and 5 - 4 = 1 at the end.
    assert table["proxy"].tolist() == pytest.approx([0, 0.5, 0.75, 1, 1])
    assert table["gold"].tolist() == pytest.approx([0, 0.5, 1, 0.25, 0.25])
    assert table["gold_score_mean"].tolist() == [5, 7, 9, 6, 5]


def test_methods_of_one_task_share_the_unit_and_tasks_do_not() -> None:
    table = table_of(grid_of(run("offline"), run("bpo2", scale=2.0), run("bpo2", scale=4.0, task="helpfulness")))
    largest = table[~table["final"]].groupby(["task", "method"])["proxy"].max()
    assert largest["tldr", "BPO F=2"] == largest["helpfulness", "BPO F=2"] == 1
    assert largest["tldr", "Offline (F=1)"] == pytest.approx(0.5)


def test_the_unit_is_of_the_mean_over_seeds() -> None:
    table = table_of(grid_of(run(seed=0, scale=1.0), run(seed=1, scale=3.0)))
    assert table.groupby("step")["proxy"].mean()[48] == pytest.approx(1)
    assert table["proxy"].max() == pytest.approx(1.5)


def test_a_score_that_only_falls_is_shown() -> None:
    worse = run()
    falls = [{**one, "gold_score_mean": 5 - one["step"] / 16} for one in worse.evaluations]
    table = table_of(grid_of(Run("falls", {**worse.row, "gold_score_mean": 3.0}, tuple(falls), {}, None)))
    assert table["gold"].tolist() == pytest.approx([0, -1 / 3, -2 / 3, -1, -2 / 3])


def test_without_a_change_there_is_nothing_to_draw_but_no_error() -> None:
    flat = run()
    flat = Run("flat", flat.row, tuple(one | {"gold_score_mean": 5.0} for one in flat.evaluations), {}, None)
    table = table_of(grid_of(flat))
    assert table["gold"].isna().all() and table["proxy"].notna().all()
    with look():
        assert rendered(proxy.draw(table, methods_of(grid_of(flat)), STUDY.metric), "svg")


@pytest.mark.parametrize(
    "changes",
    [{"oracle": "gold", "judge_is_oracle": True}, {"proxy_score_mean": None}, {"gold_score_mean": None}],
    ids=["gold oracle", "no proxy score", "no gold score"],
)
def test_runs_without_two_scores_are_not_shown(changes: dict[str, Any]) -> None:
    one = run()
    other = Run("x", {**one.row, **changes}, one.evaluations, {}, None)
    assert proxy.cells(grid_of(other)) == {}
    assert "experiment=proxy" in proxy.lacking({})


def test_rows_without_the_key_are_not_shown() -> None:
    one = run()
    bare = [{key: value for key, value in row_.items() if key != "proxy_score_mean"} for row_ in one.evaluations]
    assert proxy.cells(grid_of(Run("x", one.row, tuple(bare), {}, None))) == {}


def test_it_is_drawn_the_same_twice_and_explains_itself() -> None:
    grid = grid_of(*(run(name, seed, scale=1 + seed) for name in METHODS for seed in range(2)))
    table = table_of(grid)

    def picture() -> bytes:
        with look():
            return rendered(proxy.draw(table, methods_of(grid), STUDY.metric), "svg")

    assert picture() == picture()
    caption = proxy.caption(grid, table, STUDY)
    assert "gain over the SFT policy" in caption and "200 validation prompts" in caption
    assert "200 test prompts" in caption and np.isfinite(table["kl_sft"]).all()
