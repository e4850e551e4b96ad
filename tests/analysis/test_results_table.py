import pandas as pd
import pytest

from analysis.cells import make_grid
from analysis.figures.figure import Study
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.results_table import Text, caption, latex, markdown, numbers, text
from analysis.runs import Run
from tests.analysis.made_runs import row

STUDY = Study(METRICS["win_rate"], Bootstrap(1000, 0, lambda done: None))


def table(**wins: list[int]) -> pd.DataFrame:
    """The table of methods with wins (of 200) a seed."""
    methods = {"offline": {"F": 1}, "bpo": {"F": 2}, "onpolicy": {"F": 64, "reference": "sft"}}
    runs = [
        Run(f"{name} {seed}", row(won, **methods[name], seed=seed), (), {}, None)
        for name, seeds in wins.items()
        for seed, won in enumerate(seeds)
    ]
    return numbers(make_grid(runs)[0], STUDY)


def bold(made: pd.DataFrame) -> list[str]:
    return list(made[made["best"]]["method"])


def test_a_clear_best_is_bold() -> None:
    assert bold(table(offline=[100, 101, 102], bpo=[140, 142, 141], onpolicy=[120, 119, 121])) == ["BPO F=2"]


def test_a_best_that_may_be_chance_is_not() -> None:
    assert bold(table(offline=[100, 140, 120], bpo=[101, 141, 121])) == []


def test_the_best_has_to_be_clear_of_every_other() -> None:
    assert bold(table(offline=[100, 101, 102], bpo=[130, 150, 140], onpolicy=[131, 151, 137])) == []


def test_differences_are_paired_by_seed() -> None:
    """Seeds differ by 20 wins, methods on a seed by 4 to 6: means overlap, differences are clear."""
    assert bold(table(offline=[100, 120, 140], bpo=[105, 124, 146])) == ["BPO F=2"]
    assert bold(table(offline=[100, 120, 140], bpo=[146, 124, 105])) == []


def test_ties_and_single_methods_are_never_bold() -> None:
    assert bold(table(offline=[100, 101], bpo=[100, 101])) == []
    assert bold(table(offline=[150, 151])) == []


def test_rounds_made_uniformly_have_a_column() -> None:
    methods = {"offline": {"F": 1}, "balanced": {"F": 4, "allocation": "balanced", "fallback_rounds": 1}}
    runs = [
        Run(f"{name} {seed}", row(100 + seed, **given, seed=seed), (), {}, None)
        for name, given in methods.items()
        for seed in (0, 1)
    ]
    shown = text(numbers(make_grid(runs)[0], STUDY), METRICS["win_rate"])
    place = shown.header.index("rounds made uniformly")
    assert [cells[place] for cells in shown.rows] == ["-", "25%"]


def test_hand_worked_cells() -> None:
    # Wins 100, 110, 120 of 200: 55 %, standard deviation over seeds sqrt((25 + 0 + 25) / 2) = 5 points.
    made = table(offline=[100, 110, 120], bpo=[160, 160, 160])
    shown = text(made, METRICS["win_rate"])
    assert shown.header == ["task", "loss", "method", "win rate (%)", "mean gold score", "tokens a response"]
    assert shown.rows == [
        ["TL;DR", "DPO", "Offline (F=1)", "55.0 ± 5.0", "1.10", "15.0"],
        ["TL;DR", "DPO", "BPO F=2", "**80.0 ± 0.0**", "1.60", "15.0"],
    ]
    # Differences 30, 25, 20 points: mean 25, standard error 5 / sqrt(3), t(2) quantile 4.3027.
    behind = made.dropna(subset="behind").iloc[0]
    assert behind["behind"] == pytest.approx(0.25)
    assert behind["behind_low"] == pytest.approx(0.25 - 4.302653 * 0.05 / 3**0.5)


def with_invalid(n_invalid: int) -> pd.DataFrame:
    """The table of three runs with 100 to 102 wins, 80 losses and missing judgements."""
    counts = [{"wins": wins, "losses": 80, "n_invalid": n_invalid, "n_prompts": wins + 80 + n_invalid}
              for wins in (100, 101, 102)]  # fmt: skip
    runs = [
        Run(f"run {seed}", row(**own, seed=seed, gold_score_mean=None, gold_score_se=None), (), {}, None)
        for seed, own in enumerate(counts)
    ]
    return numbers(make_grid(runs)[0], STUDY)


def test_missing_judgements_are_shown_with_bounds() -> None:
    made = with_invalid(20)
    assert made["n_invalid"].tolist() == [60]
    assert made["lowest"].tolist() == pytest.approx([sum(wins / (wins + 100) for wins in (100, 101, 102)) / 3])
    shown = text(made, METRICS["win_rate"])
    assert shown.header[4:] == ["bounds of the win rate (%)", "tokens a response"], "and no gold score on real text"
    assert shown.rows[0][4] == "50.2 to 60.2" and "Bounds: " in caption(made)
    assert "Bounds" not in caption(with_invalid(0)) and len(text(with_invalid(0), METRICS["win_rate"]).header) == 5


def test_the_gold_score_has_no_second_column() -> None:
    made = table(offline=[100, 101, 102], bpo=[140, 142, 141])
    assert text(made, METRICS["gold_score_mean"]).header.count("mean gold score") == 1


def test_markdown_and_latex() -> None:
    made = Text(["task", "loss", "A|B_1"], [["x & y", "#1", "**5.0 ± 1.0**"], ["50%", r"\z", "4.0 ± 1.0"]])
    assert "| A\\|B_1 |" in markdown(made, "c") and markdown(made, "c").count("\n") == 6
    written = latex(made, "100 % of ~")
    assert r"x \& y & \#1 & \textbf{5.0 $\pm$ 1.0} \\" in written and r"A|B\_1" in written
    assert r"50\% & \textbackslash{}z" in written and r"\caption{100 \% of \textasciitilde{}}" in written


def test_the_caption_says_what_bold_means() -> None:
    assert "paired t interval" in caption(table(offline=[100, 110, 120], bpo=[160, 160, 160]))
