import re
from pathlib import Path

import numpy as np
import pytest

from analysis import paired_coverage
from analysis.coverage import (
    DATASETS,
    DEVIATION,
    FILE,
    MEANS,
    PAIRED_DATASETS,
    PAIRED_TASKS,
    QUANTITIES,
    SEEDS,
    TASKS,
    Coverage,
    as_csv,
    measure,
    measure_paired,
    sentence,
    stored,
    tables,
    true_values,
)

ROOT = Path(__file__).parents[2]


def test_true_values_are_those_of_many_runs() -> None:
    means = np.array(MEANS)
    scores = np.random.default_rng(0).normal(means, DEVIATION, (200_000, 6))
    pooled = np.sort(scores, axis=None)
    known = true_values(means)
    assert known["mean"] == pytest.approx(scores.mean(), abs=1e-4)
    assert known["median"] == pytest.approx(np.median(means)) == pytest.approx(0.735)
    assert known["IQM"] == pytest.approx(pooled[pooled.size // 4 : -pooled.size // 4].mean(), abs=2e-4)


def test_what_was_measured_is_all_there() -> None:
    bootstrap = [one for one in stored() if one.quantity in QUANTITIES]
    paired = [one for one in stored() if one.quantity in paired_coverage.QUANTITIES]
    assert len(bootstrap) + len(paired) == len(stored())
    for rows, tasks, datasets in ((bootstrap, TASKS, DATASETS), (paired, PAIRED_TASKS, PAIRED_DATASETS)):
        assert {(one.seeds, one.tasks) for one in rows} == {(seeds, number) for seeds in SEEDS for number in tasks}
        assert {one.datasets for one in rows} == {datasets}
    assert {3, 5, 10, 20} <= set(SEEDS) and (DATASETS, PAIRED_DATASETS) == (1000, 4000)
    assert FILE.read_text() == as_csv(stored())


def test_t_intervals_cover_what_they_claim() -> None:
    claims = {"paired t": 0.935, "two-way, new prompts": 0.94}
    worst = {name: min(one.share for one in stored() if one.quantity == name) for name in claims}
    assert all(worst[name] >= claims[name] for name in claims), worst
    # For new prompts, an interval over seeds becomes worse with more seeds.
    conditional = {
        one.seeds: one.share for one in stored() if (one.tasks, one.quantity) == (1, "paired t, new prompts")
    }
    assert conditional[20] < conditional[10] < 0.9


def test_the_docs_show_what_was_measured() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text()
    assert all(table in text for table in tables(stored()))
    five, three = (
        next(one.share for one in stored() if (one.seeds, one.tasks, one.quantity) == (seeds, 1, "mean"))
        for seeds in (5, 3)
    )
    said = re.search(r"in truth an (\d+) % interval with five seeds, and a (\d+) % interval with three", text)
    assert said and [float(word) for word in said.groups()] == pytest.approx([100 * five, 100 * three], abs=0.5)


def test_coverage_is_too_low_with_few_seeds_and_right_with_many() -> None:
    mean = {one.seeds: one.share for one in stored() if (one.tasks, one.quantity) == (1, "mean")}
    assert mean[3] < 0.8 < mean[5] < 0.87 and mean[20] > 0.9


@pytest.mark.parametrize(
    ("seeds", "said"), [(2, "with 2 seeds"), (1, "with 2 seeds"), (4, "with 3"), (9, "with 5"), (20, "")]
)
def test_captions_take_the_next_smaller_number_of_seeds(seeds: int, said: str) -> None:
    found = sentence(seeds, 1, ("mean",))
    assert (said in found and "too narrow" in found) if said else found == ""


def test_captions_quote_the_worst_of_what_they_show() -> None:
    worst = min(one.share for one in stored() if (one.seeds, one.tasks) == (3, 2) and one.quantity in ("mean", "IQM"))
    assert f"{worst:.1%}" in sentence(3, 4, ("mean", "IQM"))


def test_the_simulation_is_the_same_every_time() -> None:
    assert measure(3, 2, datasets=20, reps=100) == measure(3, 2, datasets=20, reps=100)
    assert all(isinstance(one, Coverage) and 0 <= one.share <= 1 for one in measure(2, 1, datasets=5, reps=100))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, *(pytest.param(seeds, marks=pytest.mark.nightly) for seeds in (5, 10, 20))])
def test_a_thousand_data_sets_are_measured_again(seeds: int) -> None:
    """To the digit, on a machine that rounds alike; one data set either way elsewhere."""
    known = {one.quantity: one.share for one in stored() if (one.seeds, one.tasks) == (seeds, 2)}
    again = {one.quantity: one.share for one in measure(seeds, 2)}
    assert len(again) == 4 and again == pytest.approx({name: known[name] for name in again}, abs=0.0015)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("tasks", [1, 2])
def test_paired_coverage_is_measured_again(tasks: int) -> None:
    known = {one.quantity: one.share for one in stored() if (one.seeds, one.tasks) == (5, tasks)}
    again = {one.quantity: one.share for one in measure_paired(5, tasks) if one.quantity in known}
    assert again == pytest.approx({name: known[name] for name in again}, abs=0.0005)
