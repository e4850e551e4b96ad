"""The table and figure of paired differences, from runs on disk and from rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from analysis.cells import Grid, make_grid, methods_of, pairs_of
from analysis.contrasts import common_seeds, contrasts, contrasts_of
from analysis.drawn import as_csv, read_table
from analysis.figures import aggregates, paired
from analysis.figures.figure import Study, look, rendered
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS, Metric
from analysis.runs import Run, read_run
from tests.analysis.made_runs import METHODS, PROMPTS, make_run, row

QUIET = Bootstrap(100, 0, lambda done: None)
STUDY = Study(METRICS["win_rate"], QUIET, 0.02)
WINS = {"offline": [100, 104, 99], "bpo2": [106, 107, 107], "onpolicy": [105, 101, 108]}


def grid_of(wins: dict[str, Sequence[int]], tasks: Sequence[str] = ("tldr",), **changes: Any) -> Grid:
    """Runs without folders; a second task has 10 wins more for every method."""
    runs = [
        Run(f"{name} {task} {seed}", row(won + 10 * place, **METHODS[name] | {"task": task, "seed": seed} | changes),
            (), {"model.sft.seed": 0}, None)
        for place, task in enumerate(tasks) for name, seeds in wins.items() for seed, won in enumerate(seeds)
    ]  # fmt: skip
    found, _, problems = make_grid(runs)
    assert problems == []
    return found


def table_of(grid: Grid, study: Study = STUDY) -> pd.DataFrame:
    return read_table(as_csv(paired.numbers(paired.cells(grid), study)))


def line(table: pd.DataFrame, method: str, over: str = "Offline (F=1)", task: str = "tldr") -> Any:
    (found,) = table[(table["method"] == method) & (table["over"] == over) & (table["task"] == task)].itertuples()
    return found


def test_differences_are_scipys_paired_ones() -> None:
    table = table_of(grid_of(WINS))
    x, y = np.array(WINS["bpo2"]) / 200, np.array(WINS["offline"]) / 200
    theirs, found = ttest_rel(x, y), line(table, "BPO F=2")
    limits = theirs.confidence_interval(0.95)
    assert found.difference == pytest.approx((x - y).mean()) and found.p == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high)) and found.seeds == 3
    narrow = theirs.confidence_interval(0.9)
    assert (found.low_90, found.high_90) == pytest.approx((narrow.low, narrow.high))
    assert (found.not_worse, found.equivalent) == ("yes", "no"), "a gain of 2.8 points"
    assert found.std == pytest.approx((x - y).std(ddof=1))
    # The score of a response is 1 / 100 of its wins: twice the win rate.
    assert found.gold_difference == pytest.approx(2 * found.difference)
    assert found.tokens_difference == 0 and np.isnan(found.lowest)


def test_holms_family_is_what_is_compared_with_one_method_on_one_task() -> None:
    table = table_of(grid_of(WINS, tasks=("tldr", "helpfulness")))
    for task in ("tldr", "helpfulness", "all"):
        bpo, on_policy = (line(table, name, task=task) for name in ("BPO F=2", "On-policy (F=T, sft)"))
        small, large = sorted((bpo, on_policy), key=lambda found: found.p)
        assert small.holm == pytest.approx(2 * small.p) and large.holm == pytest.approx(max(large.p, 2 * small.p))
        alone = line(table, "BPO F=2", over="On-policy (F=T, sft)", task=task)
        assert alone.holm == pytest.approx(alone.p)


def test_references_are_a_family_of_their_own() -> None:
    table = table_of(grid_of(WINS | {"bpoT": [109, 102, 113]}))
    families = {family: set(rows["over"]) for family, rows in table.groupby("family")}
    assert families == {
        "offline": {"Offline (F=1)"}, "on-policy": {"On-policy (F=T, sft)"}, "references": {"On-policy (F=T, sft)"},
    }  # fmt: skip
    for method in ("BPO F=2", "BPO F=T"):
        alone = line(table, method, over="On-policy (F=T, sft)")
        assert alone.holm == pytest.approx(alone.p)


def test_the_mean_of_pairs_averages_the_differences_of_a_seed_first() -> None:
    grid = grid_of(WINS, tasks=("tldr", "helpfulness"))
    odd = {cell: run for cell, run in grid.items() if cell[:2] == ("tldr", "dpo") or cell.seed != 2}
    table = table_of(odd)
    # Seed 2 is missing on the second task: two seeds are left, with differences 6 and 3 on both tasks.
    found = line(table, "BPO F=2", task="all")
    assert found.seeds == 2 and found.difference == pytest.approx(4.5 / 200)
    assert line(table, "BPO F=2").seeds == 3
    assert set(table_of(grid_of(WINS))["task"]) == {"tldr"}, "one pair needs no mean"


@pytest.mark.parametrize(
    ("margin", "not_worse", "equivalent"), [(0.2, "yes", "yes"), (0.001, "no", "no"), (None, None, None)]
)
def test_claims_depend_on_the_margin(margin: float | None, not_worse: str | None, equivalent: str | None) -> None:
    wins = {"offline": [100, 104, 99, 101], "bpo2": [101, 103, 100, 100]}
    study = Study(METRICS["win_rate"], QUIET, margin)
    table = table_of(grid_of(wins), study)
    found = line(table, "BPO F=2")
    if margin is None:
        assert np.isnan(found.not_worse) and np.isnan(found.equivalent)
    else:
        assert (found.not_worse, found.equivalent) == (not_worse, equivalent)
        assert (found.equivalent == "yes") == (-margin < found.low_90 < found.high_90 < margin)
    assert ("need a margin" if margin is None else f"{100 * margin:g} points") in _caption(grid_of(wins), study)


def _caption(grid: Grid, study: Study = STUDY) -> str:
    return paired.FIGURE.caption(paired.cells(grid), table_of(grid, study), study)


def test_equal_differences_have_no_interval_and_the_caption_says_so() -> None:
    grid = grid_of({"offline": [100, 101], "bpo2": [110, 111]})
    found = line(table_of(grid), "BPO F=2")
    assert found.difference == pytest.approx(0.05) and np.isnan([found.low, found.p, found.holm]).all()
    assert np.isnan(found.not_worse) and np.isnan(found.equivalent), "nothing is known"
    assert "the same for all seeds: BPO F=2 − Offline (F=1) (tldr)" in _caption(grid)


def test_missing_judgements_bound_the_difference() -> None:
    lost = {"n_invalid": 20, "losses": 60}
    wins = {"offline": [120, 120], "bpo2": [120, 120]}
    found = line(table_of(grid_of(wins, **lost)), "BPO F=2")
    # 120 wins, 60 losses, 20 missing of 200: 60 to 70 % for both, so the difference is -10 to 10 points.
    assert (found.lowest, found.highest) == pytest.approx((-0.1, 0.1))
    caption = _caption(grid_of(wins, **lost))
    assert "BPO F=2 − Offline (F=1) on tldr, dpo: −10.0 to +10.0" in caption


def test_real_text_has_no_gold_score() -> None:
    table = table_of(grid_of(WINS, gold_score_mean=None, gold_score_se=None))
    assert table["gold_difference"].isna().all() and table["difference"].notna().all()


def runs_on_disk(tmp_path: Path, wins: dict[str, Sequence[int]]) -> Grid:
    runs = []
    for name, seeds in wins.items():
        for seed, won in enumerate(seeds):
            folder = make_run(tmp_path / f"{name},{seed}", won, samples=1, **METHODS[name], seed=seed)
            runs.append(read_run(folder))
    return make_grid([run for run in runs if isinstance(run, Run)])[0]


def drop_outcomes(folder: Path, prompts: set[int]) -> None:
    """Makes the judgements of some prompts of the final evaluation missing."""
    lines = [json.loads(text) for text in (folder / "samples.jsonl").read_text().splitlines()]
    for sample in lines:
        if sample["prompt_id"] in prompts:
            sample["outcome"] = None
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in lines))


def test_prompts_are_compared_where_both_methods_have_a_judgement(tmp_path: Path) -> None:
    grid = runs_on_disk(tmp_path, WINS)
    found = line(table_of(grid), "BPO F=2")
    assert found.by_prompt == pytest.approx(found.difference) and found.prompts == PROMPTS and found.left_out == 0
    assert found.by_prompt_low <= found.low and found.by_prompt_high >= found.high, "new prompts add uncertainty"
    # A prompt that BPO wins and offline loses: without it, and another one missing in offline, one difference is less.
    order = np.random.default_rng(0).permutation(PROMPTS)
    decided = next(prompt for prompt in range(PROMPTS) if 100 <= order[prompt] < 106)
    lost = next(prompt for prompt in range(PROMPTS) if order[prompt] > 150)
    drop_outcomes(tmp_path / "bpo2,0", {decided})
    drop_outcomes(tmp_path / "offline,0", {lost})
    again = line(table_of(grid), "BPO F=2")
    assert again.left_out == 2 and again.by_prompt == pytest.approx((6 + 3 + 8 - 1) / (3 * PROMPTS - 2))
    assert "(2 responses left out)" not in _caption(grid), "all comparisons together left out more"
    assert "responses left out)" in _caption(grid)


@pytest.mark.parametrize("damage", ["missing", "short", "twice", "no sample", "odd ids"])
def test_without_every_response_there_is_no_interval_over_prompts(tmp_path: Path, damage: str) -> None:
    grid = runs_on_disk(tmp_path, {name: WINS[name] for name in ("offline", "bpo2")})
    path = tmp_path / "bpo2,1" / "samples.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    if damage == "short":
        lines = lines[-PROMPTS + 1 :]
    elif damage == "twice":
        lines[-1] = lines[-2]
    elif damage == "no sample":
        del lines[-1]["sample"]
    elif damage == "odd ids":
        lines[-1]["prompt_id"] = ["x"]
    path.write_text("".join(json.dumps(sample) + "\n" for sample in lines))
    if damage == "missing":
        path.unlink()
    found = line(table_of(grid), "BPO F=2")
    assert np.isnan(found.by_prompt) and np.isfinite(found.low)
    assert "no intervals over prompts" in _caption(grid)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.key)
def test_every_metric_is_drawn(tmp_path: Path, metric: Metric) -> None:
    grid = runs_on_disk(tmp_path, WINS)
    study = Study(metric, QUIET, metric.margin(None))
    table = table_of(grid, study)
    assert table["by_prompt"].notna().all() == bool(metric.column)
    with look():
        assert rendered(paired.draw(table, methods_of(grid), metric), "svg")


def test_what_is_compared() -> None:
    names = {name: row(**method) for name, method in METHODS.items()}
    names |= {"members": row(F=2, ensemble=5), "members, offline": row(F=1, ensemble=5), "depth": row(F=1, seed=9)}
    names |= {"gold": row(F=64, reference="gold"), "members, on-policy": row(F=64, reference="sft", ensemble=5)}
    names["depth"] |= {"allocation": "random_pairs"}
    grid = make_grid([Run(name, made, (), {}, None) for name, made in names.items()])[0]
    made = [contrast.name for contrast in contrasts(methods_of(grid))]
    assert len(set(made)) == len(made) and set(made) == {
        "On-policy (F=T, sft), ensemble 1 − Offline (F=1), ensemble 1",
        "BPO F=2, ensemble 1 − Offline (F=1), ensemble 1",
        "BPO F=2, ensemble 5 − Offline (F=1), ensemble 5",
        "BPO F=2, ensemble 5 − On-policy (F=T, sft), ensemble 5",
        "On-policy (F=T, sft), ensemble 5 − Offline (F=1), ensemble 5",
        "BPO F=T, ensemble 1 − Offline (F=1), ensemble 1",
        "Offline (F=1), random pairs, ensemble 1 − Offline (F=1), ensemble 1",
        "BPO F=2, ensemble 1 − On-policy (F=T, sft), ensemble 1",
        "BPO F=T, ensemble 1 − On-policy (F=T, sft), ensemble 1",
        "BPO F=T, ensemble 1 − gold F=T, ensemble 1",
        "gold F=T, ensemble 1 − Offline (F=1), ensemble 1",
    }
    # A control that shares no seed with the offline method is not compared.
    assert len(contrasts_of(grid, pairs_of(grid))) == len(made) - 1
    assert all(common_seeds(grid, pairs_of(grid), contrast) == [0] for contrast in contrasts_of(grid, pairs_of(grid)))


def test_figure_3_has_the_mean_of_differences_within_tasks() -> None:
    grid = grid_of(WINS, tasks=("tldr", "helpfulness"))
    table = aggregates.numbers(grid, STUDY)
    shown = table[table["aggregate"] == "difference"].set_index("method")
    assert list(shown.index) == ["On-policy (F=T, sft)", "BPO F=2"], "nothing to show for the offline method itself"
    found = line(table_of(grid), "BPO F=2", task="all")
    assert tuple(shown.loc["BPO F=2", ["point", "low", "high"]]) == pytest.approx(
        (found.difference, found.low, found.high)
    )
    assert "compares within each task" in aggregates.caption(grid, table, STUDY)
    alone = grid_of({name: WINS[name] for name in ("bpo2", "onpolicy")})
    assert "difference" not in set(aggregates.numbers(alone, STUDY)["aggregate"])
