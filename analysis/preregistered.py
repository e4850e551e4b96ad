"""The primary tests of docs/preregistration.md, from an archive of result rows, as tables in Markdown.

    python -m analysis.preregistered docs/results/fig1-default.jsonl.gz

Reads the runs of figure 1 of one regime: offline, on-policy and BPO with two rounds, which the questions compare, need
the same seeds on every task. BPO with F=T is shown beside them once it has all of these, too. All p values of the
primary questions are adjusted together.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.cells import Cell, Grid, Pair, make_grid, methods_of, pairs_of, seeds_of, subgrid
from analysis.comparability import differences as settings_that_differ
from analysis.contrasts import Contrast, differences
from analysis.errors import AnalysisError
from analysis.figures.facts import basis, published
from analysis.holm import holm
from analysis.methods import BPO_2, BPO_T, OFFLINE_METHOD, ON_POLICY, Method
from analysis.names import title_of
from analysis.runs import Run, read_folders
from analysis.sft_seeds import conditional_on
from analysis.t_estimate import Estimate, paired_t

# Points of the win rate: the smallest effect of interest, and the margin of "not worse".
MARGIN = 2.0
ALPHA = 0.05
# Primary tests of a regime: two questions on two tasks. One that a regime lacks counts as larger in Holm's correction.
PLANNED = 4
FEWEST = 3


@dataclass(frozen=True)
class Question:
    """A claim of the paper and the paired difference that tests it.

    Attributes:
        claim: the claim, in the words of the table.
        contrast: the two methods.
        not_worse: whether the claim is that the difference is above -MARGIN, rather than above 0.
    """

    name: str
    claim: str
    contrast: Contrast
    not_worse: bool


QUESTIONS = (
    Question("Q1", "a second round helps", Contrast(BPO_2, OFFLINE_METHOD, "primary"), not_worse=False),
    Question("Q2", "F=2 is not worse than on-policy",
             Contrast(BPO_2, ON_POLICY, "primary"), not_worse=True),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A question answered on one task.

    Attributes:
        points: difference of win rates in points, over seeds.
        holm: two-sided p value, adjusted for the planned questions on all tasks.
        gold, tokens: mean differences of the gold score and of the tokens a response.
    """

    question: Question
    pair: Pair
    points: Estimate
    holm: float
    gold: float
    tokens: float

    @property
    def verdict(self) -> str:
        """What the tests say of the claim."""
        wide, differs = self.points.interval(), self.holm < ALPHA
        if self.question.not_worse and self.points.is_not_worse(MARGIN):
            lower = "; it is lower all the same" if differs and self.points.mean < 0 else ""
            return f"holds: a loss of {MARGIN:g} points is rejected (p {_p(self.points.p_not_below(-MARGIN))}){lower}"
        if differs:
            small = f", by less than {MARGIN:g} points" if self.points.is_equivalent(MARGIN) else ""
            return ("holds" if self.points.mean > 0 else "the opposite") + small
        if self.points.is_equivalent(MARGIN):
            return f"no effect of {MARGIN:g} points or more, either way"
        return f"not shown; effects outside {_signed(wide.low)} to {_signed(wide.high)} are ruled out"


def findings(grid: Grid) -> list[Finding]:
    """The primary questions on every task of the grid, whose methods have the same seeds; Holm's over those planned."""
    asked = [(question, pair) for question in QUESTIONS for pair in pairs_of(grid)]

    def means(question: Question, pair: Pair, key: str) -> np.ndarray:
        return differences(grid, [pair], question.contrast, key)[:, 0]

    estimates = [paired_t(100 * means(question, pair, "win_rate")) for question, pair in asked]
    lacking = [float("nan")] * (PLANNED - len(asked))
    adjusted = holm([*(estimate.p for estimate in estimates), *lacking])[: len(asked)]
    return [
        Finding(
            question, pair, estimate, p, means(question, pair, "gold_score_mean").mean(),
            means(question, pair, "response_tokens_mean").mean(),
        )
        for (question, pair), estimate, p in zip(asked, estimates, adjusted, strict=True)
    ]  # fmt: skip


def primary_runs(paths: Sequence[Path]) -> Grid:
    """The runs of the methods that the questions compare, checked, and those of BPO with F=T if they are complete.

    Raises:
        AnalysisError: if runs are not comparable, missing or of too few seeds, naming all of them.
    """
    runs, skipped = read_folders(paths)
    problems = [f"{run.where}: {run.why}" for run in skipped] + (settings_that_differ(runs, {}) if runs else [])
    if problems or not runs:
        raise AnalysisError(problems or [f"no finished run in {', '.join(map(str, paths))}"])
    whole, _, problems = make_grid(runs)
    asked = {method for question in QUESTIONS for method in (question.contrast.method, question.contrast.over)}
    grid = subgrid(whole, lambda cell: cell.method in asked)
    for method in sorted(asked):
        problems += [f"{place}: no run with seed {lacking}" for place, lacking in _holes(grid, method)]
    if not problems and len(seeds_of(grid)) < FEWEST:
        problems.append(f"{len(seeds_of(grid))} seeds; expected {FEWEST} or more")
    if problems:
        raise AnalysisError(problems, "No test is made before all runs are there: docs/preregistration.md.")
    more = subgrid(whole, lambda cell: cell.method in asked | {BPO_T} and cell.seed in seeds_of(grid))
    return grid if list(_holes(more, BPO_T)) else more


def _holes(grid: Grid, method: Method) -> Iterator[tuple[str, str]]:
    """Tasks on which a method lacks runs, with the seeds of these runs."""
    for task, loss in pairs_of(grid):
        lacking = [str(seed) for seed in seeds_of(grid) if Cell(task, loss, method, seed) not in grid]
        if lacking:
            yield f"{task}, {loss}, {method.name}", ", ".join(lacking)


def claims_table(found: Sequence[Finding]) -> str:
    """A line per claim and task."""
    header = ["claim", "task", "paper", "difference, points [95 %]", "Holm's p", "90 %", "gold", "tokens", "found"]
    rows = []
    for finding in found:
        wide, narrow = finding.points.interval(), finding.points.interval(0.9)
        rows.append([
            f"{finding.question.name}: {finding.question.claim}",
            title_of(*finding.pair).partition(",")[0],
            _published(finding),
            f"{_signed(wide.point)} [{_signed(wide.low)}, {_signed(wide.high)}]",
            _p(finding.holm),
            f"[{_signed(narrow.low)}, {_signed(narrow.high)}]",
            _signed(finding.gold, 2),
            _signed(finding.tokens),
            finding.verdict,
        ])  # fmt: skip
    return _markdown(header, rows, numbers=range(2, 8))


def _published(finding: Finding) -> str:
    """The paper's difference, where it is known."""
    contrast = finding.question.contrast
    method, over = (published(*finding.pair, method, "win_rate") for method in (contrast.method, contrast.over))
    return "–" if np.isnan(method - over) else _signed(100 * (method - over))


def means_table(grid: Grid) -> str:
    """A line per task and policy, the SFT policy first: means over seeds, and the spread of the win rate."""
    header = ["task", "method", "win rate, % (SD over seeds)", "length-controlled, %", "gold score", "tokens",
              "KL to SFT, nats"]  # fmt: skip
    rows = []
    for pair in pairs_of(grid):
        task = title_of(*pair).partition(",")[0]
        before = [_sft_row(grid[Cell(*pair, OFFLINE_METHOD, seed)]) for seed in seeds_of(grid)]
        rows.append([task, "SFT", *_means(before)])
        for method in methods_of(grid):
            results = [grid[Cell(*pair, method, seed)].row for seed in seeds_of(grid)]
            rows.append([task, _typed(method), *_means(results)])
    return _markdown(header, rows, numbers=range(2, 7))


def _sft_row(run: Run) -> Mapping[str, Any]:
    """The row of the SFT policy that a run started from, on the split of its result."""
    return next(row for row in run.evaluations if row["round"] == -1 and row["split"] == run.row["split"])


def _typed(method: Method) -> str:
    """The method, with what is typed for it."""
    return f"{method.name}: `F={method.F or 'T'} reference={method.reference}`"


def _means(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    rates = [100 * row["win_rate"] for row in rows]
    controlled = [row["win_rate_length_controlled"] for row in rows]
    known = [100 * value for value in controlled if value is not None]
    missing = f" ({len(known)} of {len(rows)})" if len(known) < len(rows) else ""
    return [
        f"{np.mean(rates):.1f} ({np.std(rates, ddof=1):.1f})",
        f"{np.mean(known):.1f}{missing}" if known else "–",
        f"{np.mean([row['gold_score_mean'] for row in rows]):.2f}",
        f"{np.mean([row['response_tokens_mean'] for row in rows]):.1f}",
        f"{np.mean([row['kl_sft'] for row in rows]):.2f}",
    ]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: range) -> str:
    rule = ["---:" if column in numbers else ":---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def report(grid: Grid) -> str:
    """Both tables and what they are conditional on."""
    found = findings(grid)
    over = (
        "" if len(found) >= PLANNED else f" and the {PLANNED - len(found)} of the {PLANNED} planned that are not there"
    )
    return (
        f"{claims_table(found)}\n\n{means_table(grid)}\n\n"
        f"Paired t intervals over seeds; Holm's p is two-sided, over all lines of the first table{over}. "
        f"{basis(grid)} {conditional_on(grid.values())}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    made = argparse.ArgumentParser(
        prog="python -m analysis.preregistered", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an archive of rows, or a folder of runs")
    try:
        sys.stdout.write(report(primary_runs(made.parse_args(argv).paths)) + "\n")
    except AnalysisError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
