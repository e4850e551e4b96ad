"""The primary tests, against scipy's and against differences worked by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from analysis.errors import AnalysisError
from analysis.preregistered import findings, main, primary_runs, report
from analysis.t_estimate import Estimate
from tests.analysis.made_runs import make_run

SEEDS = range(4)
METHODS = {"offline": (1, "behavior"), "bpo_f2": (2, "behavior"), "on_policy": (64, "sft"), "bpo_ft": (64, "behavior")}
# Wins of 200 prompts, by seed: 1 win is half a point.
WINS = {
    ("tldr", "offline"): [120, 122, 118, 121],
    ("tldr", "bpo_f2"): [130, 131, 129, 130],
    ("tldr", "on_policy"): [131, 133, 129, 132],
    ("tldr", "bpo_ft"): [128, 128, 128, 128],
    ("helpfulness", "offline"): [140, 141, 139, 144],
    ("helpfulness", "bpo_f2"): [140, 142, 138, 145],
    ("helpfulness", "on_policy"): [150, 152, 149, 151],
    ("helpfulness", "bpo_ft"): [128, 128, 128, 128],
}


def write(folder: Path, leave_out: tuple[str, str, int] | None = None) -> Path:
    for (task, name), wins in WINS.items():
        F, reference = METHODS[name]
        for seed in SEEDS:
            if (task, name, seed) != leave_out:
                make_run(folder / f"{task}-{name}-{seed}", wins[seed], task=task, F=F, reference=reference, seed=seed,
                         sft_seed=seed)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs"))


def points(task: str, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array(WINS[task, first]) / 2, np.array(WINS[task, second]) / 2


def test_estimates_and_corrected_p_values(runs: Path) -> None:
    found = findings(primary_runs([runs]))
    asked = [(finding.pair[0], finding.question.name) for finding in found]
    assert asked == [("tldr", "Q1"), ("helpfulness", "Q1"), ("tldr", "Q2"), ("helpfulness", "Q2")]
    p_values = []
    for finding, (task, name) in zip(found, asked, strict=True):
        first, second = points(task, "bpo_f2", "offline" if name == "Q1" else "on_policy")
        expected = ttest_rel(first, second)
        low, high = expected.confidence_interval(0.95)
        assert finding.points.mean == pytest.approx((first - second).mean())
        interval = finding.points.interval()
        assert (interval.low, interval.high) == pytest.approx((low, high))
        p_values.append(expected.pvalue)
    # Step-down over all four: the smallest p times 4, the next times 3, ..., never below an earlier one.
    order, largest = np.argsort(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (4 - rank) * p_values[place])
        assert found[place].holm == pytest.approx(min(largest, 1))


def test_the_tests_that_a_regime_lacks_count_as_larger(tmp_path: Path, runs: Path) -> None:
    """docs/preregistration.md: of two tests out of four, the smaller p is multiplied by 4, the larger by 3."""
    for folder in sorted(runs.glob("tldr-*")):
        shutil.copytree(folder, tmp_path / folder.name)
    grid = primary_runs([tmp_path])
    smaller, larger = sorted(findings(grid), key=lambda finding: finding.points.p)
    assert smaller.holm == pytest.approx(4 * smaller.points.p) and smaller.holm < larger.holm < 1
    assert larger.holm == pytest.approx(max(3 * larger.points.p, smaller.holm))
    assert "the first table and the 2 of the 4 planned that are not there" in report(grid)
    assert "planned" not in report(primary_runs([runs]))


def test_what_is_said_of_each_claim(runs: Path) -> None:
    tldr_1, helpful_1, tldr_2, helpful_2 = findings(primary_runs([runs]))
    assert tldr_1.verdict == "holds"
    assert helpful_1.verdict == "no effect of 2 points or more, either way"
    p = ttest_1samp(np.subtract(*points("tldr", "bpo_f2", "on_policy")), -2, alternative="greater").pvalue
    assert tldr_2.verdict == f"holds: a loss of 2 points is rejected (p {p:.3f})"
    assert helpful_2.points.mean == pytest.approx(-4.625) and helpful_2.verdict == "the opposite"


@pytest.mark.parametrize(
    ("number", "mean", "said"),
    [
        (0, 0.9, "holds, by less than 2 points"),
        (0, -0.9, "the opposite, by less than 2 points"),
        (2, -0.8, "holds: a loss of 2 points is rejected (p < 0.001); it is lower all the same"),
        (2, 0.8, "holds: a loss of 2 points is rejected (p < 0.001)"),
        (2, -2.0, "the opposite"),
    ],
)
def test_a_clear_and_small_effect_is_both(runs: Path, number: int, mean: float, said: str) -> None:
    first = findings(primary_runs([runs]))[number]
    clear = type(first)(first.question, first.pair, Estimate(mean, 0.1, 23), 0.001, 0.0, 0.0)
    assert clear.verdict == said


def test_an_effect_that_is_not_seen_is_bounded(runs: Path) -> None:
    first = findings(primary_runs([runs]))[0]
    unclear = type(first)(first.question, first.pair, Estimate(1.0, 1.5, 3), 1.0, 0.0, 0.0)
    low, high = 1 - 3.182 * 1.5, 1 + 3.182 * 1.5
    assert unclear.verdict == f"not shown; effects outside −{-low:.1f} to +{high:.1f} are ruled out"


def test_the_report(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(runs)])
    printed = capsys.readouterr().out
    assert printed == report(primary_runs([runs])) + "\n"
    assert "| Q1: a second round helps | TL;DR | +8.2 | +4.9 [+4.1, +5.6] |" in printed
    assert "| TL;DR | SFT | 46.0 (0.0) | 23.0 |" in printed
    assert "| TL;DR | BPO F=2: `F=2 reference=behavior` | 65.0 (0.4) | 32.5 |" in printed
    assert "the intervals include the choice of the SFT policy" in printed


def test_no_test_before_all_runs_are_there(tmp_path: Path) -> None:
    write(tmp_path, leave_out=("tldr", "on_policy", 2))
    with pytest.raises(AnalysisError, match=r"tldr, dpo, On-policy \(F=T, sft\): no run with seed 2"):
        primary_runs([tmp_path])


def test_a_method_that_no_question_compares_may_be_incomplete(tmp_path: Path, runs: Path) -> None:
    write(tmp_path, leave_out=("tldr", "bpo_ft", 2))
    incomplete, whole = report(primary_runs([tmp_path])), report(primary_runs([runs]))
    assert "BPO F=T" not in incomplete and "BPO F=T" in whole
    assert incomplete.split("\n\n")[0] == whole.split("\n\n")[0]


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="error: 1 problem.*\n.*no finished run"):
        main([str(tmp_path)])
    with pytest.raises(SystemExit, match="no such folder"):
        main([str(tmp_path / "none")])


def test_two_regimes_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    make_run(tmp_path / "other", 100, task="tldr", F=1, seed=9, sft_seed=9, learning_rate=1e-3)
    with pytest.raises(AnalysisError, match="not comparable: learning_rate"):
        primary_runs([tmp_path])
