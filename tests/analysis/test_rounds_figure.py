"""The slope of figure 4."""

import numpy as np
import pytest
from scipy.stats import linregress, ttest_1samp

from analysis.cells import Grid, make_grid
from analysis.figures import rounds
from analysis.figures.figure import Study
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.runs import Run
from tests.analysis.made_runs import row

STUDY = Study(METRICS["win_rate"], Bootstrap(100, 0, lambda done: None))
# F -> wins of 200 of three seeds.
WINS = {1: [100, 104, 99], 2: [106, 107, 107], 8: [110, 104, 112], 64: [112, 109, 120]}


def grid_of(wins: dict[int, list[int]]) -> Grid:
    runs = [
        Run(f"{F} {seed}", row(won, F=F, seed=seed), (), {}, None) for F, seeds in wins.items()
        for seed, won in enumerate(seeds)
    ]  # fmt: skip
    runs += [Run(f"on {seed}", row(150, F=64, reference="sft", seed=seed), (), {}, None) for seed in range(3)]
    return make_grid(runs)[0]


def test_the_slope_is_the_mean_of_the_slopes_of_seeds() -> None:
    table = rounds.numbers(grid_of(WINS), STUDY)
    slopes = [linregress(np.log2(list(WINS)), [WINS[F][seed] / 200 for F in WINS]).slope for seed in range(3)]
    limits = ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert list(table["slope"]) == pytest.approx([np.mean(slopes)] * len(table)), "on-policy runs are no part of it"
    assert tuple(table.iloc[0][["slope_low", "slope_high"]]) == pytest.approx((limits.low, limits.high))
    caption = rounds.caption(grid_of(WINS), table, STUDY)
    assert f"seeds: {100 * np.mean(slopes):+.1f} [" in caption and "(TL;DR, DPO)." in caption


def test_one_number_of_rounds_has_no_slope() -> None:
    table = rounds.numbers(grid_of({2: WINS[2]}), STUDY)
    assert table["slope"].isna().all() and "Slope" not in rounds.caption(grid_of({2: WINS[2]}), table, STUDY)
