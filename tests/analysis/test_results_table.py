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
    assert bold(table(offline=[100, 101, 102], bpo=[140, 141, 142], onpolicy=[120, 119, 121])) == ["BPO F=2"]


def test_a_best_that_may_be_chance_is_not() -> None:
    assert bold(table(offline=[100, 140, 120], bpo=[101, 141, 121])) == []


def test_the_best_has_to_be_clear_of_every_other() -> None:
    assert bold(table(offline=[100, 101, 102], bpo=[130, 150, 140], onpolicy=[131, 151, 137])) == []


def test_ties_and_single_methods_are_never_bold() -> None:
    assert bold(table(offline=[100, 101], bpo=[100, 101])) == []
    assert bold(table(offline=[150, 151])) == []


def test_hand_worked_cells() -> None:
    # Wins 100, 110, 120 of 200: 55 %, standard deviation over seeds sqrt((25 + 0 + 25) / 2) = 5 points.
    made = table(offline=[100, 110, 120], bpo=[160, 160, 160])
    shown = text(made, ["Offline (F=1)", "BPO F=2", "BPO F=8"], METRICS["win_rate"])
    assert shown.rows == [["TL;DR", "DPO", "55.0 ± 5.0", "**80.0 ± 0.0**", "-"]]
    assert made["behind"].dropna().tolist() == pytest.approx([0.25])


def test_markdown_and_latex() -> None:
    made = Text(["task", "loss", "A|B_1"], [["x & y", "#1", "**5.0 ± 1.0**"], ["50%", r"\z", "4.0 ± 1.0"]])
    assert "| A\\|B_1 |" in markdown(made, "c") and markdown(made, "c").count("\n") == 6
    written = latex(made, "100 % of ~")
    assert r"x \& y & \#1 & \textbf{5.0 $\pm$ 1.0} \\" in written and r"A|B\_1" in written
    assert r"50\% & \textbackslash{}z" in written and r"\caption{100 \% of \textasciitilde{}}" in written


def test_the_caption_says_that_few_seeds_cover_too_little() -> None:
    assert "too narrow" in caption(table(offline=[100, 110, 120], bpo=[160, 160, 160]), STUDY)
