"""The simulated runs that the coverage of t intervals is measured on."""

import numpy as np
import pytest

from analysis import paired_coverage
from analysis.paired_coverage import shares, simulated, true_difference


def test_the_true_difference_is_that_of_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_coverage, "PROMPTS", 20_000)
    differences, for_prompts = simulated(400, 1, np.random.default_rng(0))
    assert differences.mean() == pytest.approx(for_prompts, abs=0.003), "seeds vary by 2.5 points"
    assert for_prompts == pytest.approx(true_difference(1), abs=0.003), "prompts vary by 18 points"
    assert true_difference(1) == pytest.approx(0.024, abs=0.001)
    by_seed = differences.mean((1, 2)).std()
    assert 0.02 < by_seed < 0.03
    assert set(np.unique(differences)) == {-1.0, 0.0, 1.0}


def test_the_mean_is_over_tasks() -> None:
    differences, _ = simulated(3, 2, np.random.default_rng(0))
    assert differences.shape == (3, 2, paired_coverage.PROMPTS)
    assert true_difference(2) < true_difference(1), "the second task is easier, so less can be gained"


def test_the_simulation_is_the_same_every_time() -> None:
    first = shares(3, 2, 20, 0)
    assert first == shares(3, 2, 20, 0) and set(first) == set(paired_coverage.QUANTITIES)
    assert all(0.5 <= share <= 1 for share in first.values())
