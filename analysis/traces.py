"""Single runs on the page: training curves from metrics.jsonl, samples of the last evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.final_samples import count_of, final_samples, lines_of, readable
from analysis.page.contents import Curves, Place, SampleSet
from analysis.running import is_finished
from analysis.runs import Run
from analysis.sample_summary import summary_of
from analysis.shown import Shown

SERIES = (
    "loss", "rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected", "kl/sft", "kl/behavior",
    "grad_norm",
)  # fmt: skip
# Most points of all runs together, and most characters of all responses, so that a browser can open the page.
POINTS, CHARACTERS = 400_000, 6_000_000
# Responses of a run that its histograms are made of.
COUNTED = 1_000


def place_of(one: Shown) -> Place:
    """The run's name and its place among the runs."""
    cell = one.cell
    return Place(one.run.row["run_id"], cell.task, cell.loss, cell.method.name, cell.seed, one.study)


def curves(runs: Sequence[Shown]) -> list[Curves]:
    """Training curves of every run on disk, thinned evenly to `POINTS` points in all; the win rate comes first."""
    most = max(POINTS // (len(SERIES) * max(len(runs), 1)), 10)
    return [_curves(one, most) for one in runs]


def sample_sets(runs: Sequence[Shown], wanted: int) -> list[SampleSet]:
    """The first samples of every run on disk.

    Args:
        wanted: samples per run; fewer if the page would hold more than `CHARACTERS`. The rest is counted as left out.
    """
    most = CHARACTERS // max(len(runs), 1)
    return [_samples(one, wanted, most) for one in runs if one.run.folder is not None]


def _curves(one: Shown, most: int) -> Curves:
    run = one.run
    series: dict[str, list[tuple[int, float]]] = {}
    levels: dict[str, float] = {}
    for row in (*run.evaluations, run.row):
        if row.get("win_rate") is None:
            continue
        name = f"win rate, % ({row['split']}, {row['n_prompts']} prompts)"
        if row["round"] < 0:
            levels[name] = _short(100 * row["win_rate"])
        else:
            series.setdefault(name, []).append((row["step"], _short(100 * row["win_rate"])))
    for measured in readable(lines_of(run.folder / "metrics.jsonl")) if run.folder is not None else []:
        for name in SERIES:
            if isinstance(measured.get(name), int | float) and isinstance(measured.get("step"), int):
                series.setdefault(name, []).append((measured["step"], _short(measured[name])))
    thin = {name: points[:: -(-len(points) // most)] for name, points in series.items()}
    return Curves(place_of(one), thin, {name: level for name, level in levels.items() if name in thin})


def _samples(one: Shown, wanted: int, most: int) -> SampleSet:
    run = evaluated(one.run)
    if run is None:
        return SampleSet(place_of(one), [], 0)
    rows = final_samples(run, max(wanted, COUNTED))
    kept = _within(rows[:wanted], most)
    return SampleSet(place_of(one), kept, count_of(run) - len(kept), summary_of(rows))


def evaluated(run: Run) -> Run | None:
    """The run with the row of its last evaluation, whether it is finished or not; None before the first one."""
    if is_finished(run):
        return run
    return replace(run, row={"samples": 1, **run.evaluations[-1]}) if run.evaluations else None


def _within(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The first rows whose responses have so many characters in all; at least one."""
    kept: list[dict[str, Any]] = []
    characters = 0
    for row in rows:
        characters += _length(row)
        if kept and characters > most:
            break
        kept.append(row)
    return kept


def _length(row: Mapping[str, Any]) -> int:
    # 40 for the scores. Prompts are stored once for all runs.
    return 40 + len(row["response"]) if isinstance(row.get("response"), str) else 40


def _short(value: float) -> float:
    return float(f"{value:.5g}")
