"""Facts about the runs behind a figure, in words for captions and in numbers for tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.cells import Cell, Grid, methods_of, pairs_of, seeds_of, subgrid
from analysis.figures.figure import Study
from analysis.intervals import Interval, aggregates
from analysis.methods import Method
from analysis.names import LOSSES, TASKS, task_order
from analysis.runs import Run


def basis(grid: Grid) -> str:
    """The sentences on the runs behind a figure: how many, of which settings, judged by whom."""
    rows = [run.row for run in grid.values()]
    tasks = sorted({cell.task for cell in grid}, key=task_order)
    losses = [LOSSES.get(loss, loss) for loss in sorted({cell.loss for cell in grid})]
    same = all(row["judge_is_oracle"] for row in rows)
    neither = not any(row["judge_is_oracle"] for row in rows)
    oracle = (
        "which is also the oracle that labelled the training pairs"
        if same
        else f"and another one, {values(row['oracle'] for row in rows)}, labelled the training pairs"
        if neither
        else "which is also the oracle in some runs and not in others"
    )
    return (
        f"{len(grid)} runs: {counted(len(methods_of(grid)), 'method')} x "
        f"{counted(len(tasks), 'task')} ({', '.join(TASKS.get(task, task) for task in tasks)}) x "
        f"{counted(len(losses), 'loss', 'losses')} ({', '.join(losses)}) x "
        f"{counted(len(seeds_of(grid)), 'seed')} ({spans(seeds_of(grid))}). "
        f"Model {values(row['model'] for row in rows)}, data {values(row['data'] for row in rows)}, "
        f"T={values(row['T'] for row in rows)}, {values(row['batch_size'] for row in rows)} pairs a step; "
        f"{values(row['n_prompts'] for row in rows)} prompts of the {values(row['split'] for row in rows)} split, "
        f"{_responses(rows)}sampled at temperature {values(format(row['temperature'], 'g') for row in rows)}. "
        f"Judge: {values(row['judge'] for row in rows)}, {oracle}."
    )


def _responses(rows: Sequence[Mapping[str, Any]]) -> str:
    """The words on several responses per prompt; empty if there is one."""
    samples = sorted({row["samples"] for row in rows})
    return f"{values(samples)} responses each, " if samples != [1] else ""


def values(found: Iterable[Any]) -> str:
    """The distinct values, sorted, as text: "64" or "32 or 64"."""
    return " or ".join(str(value) for value in sorted(set(found)))


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def spans(numbers: list[int]) -> str:
    """Sorted whole numbers as text: "0-4" for three and more in a row, otherwise "0, 1, 7"."""
    whole = numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2
    return f"{numbers[0]}-{numbers[-1]}" if whole else ", ".join(map(str, numbers))


def scores(grid: Grid, task: str, loss: str, method: Method, key: str) -> np.ndarray:
    """A column of the result rows of one (task, loss, method), by seed: (seeds,), empty if there are no runs."""
    cells = [Cell(task, loss, method, seed) for seed in seeds_of(grid)]
    return np.array([grid[cell].row[key] for cell in cells if cell in grid], dtype=float)


def mean_interval(scores: np.ndarray, study: Study) -> Interval:
    """The mean of scores over seeds with its 95 % percentile bootstrap interval: the bars of all figures."""
    return aggregates(scores[:, None], study.bootstrap, None)["mean"]


def runs_of(grid: Grid, task: str, loss: str, method: Method) -> list[Run]:
    """The runs of one (task, loss, method), in the order of the grid."""
    return [run for cell, run in grid.items() if cell[:3] == (task, loss, method)]


def present(grid: Grid) -> list[tuple[str, str, Method]]:
    """Every (task, loss, method) that has runs, in the order of panels and legends."""
    triples = {cell[:3] for cell in grid}
    return [
        (task, loss, method)
        for task, loss in pairs_of(grid)
        for method in methods_of(grid)
        if (task, loss, method) in triples
    ]


def sft_score(grid: Grid, task: str, loss: str, key: str) -> float:
    """The SFT policy's mean score on the prompts of the final evaluation; nan if no run has it."""
    scores = [
        row[key]
        for cell, run in grid.items()
        if (cell.task, cell.loss) == (task, loss)
        for row in run.evaluations
        if row["round"] == -1 and row["split"] == run.row["split"] and row[key] is not None
    ]
    return float(np.mean(scores)) if scores else float("nan")


def published(task: str, loss: str, method: Method, key: str) -> float:
    """The score that the paper reports, as a fraction; nan if it is not known."""
    document = yaml.safe_load(files("analysis").joinpath("published.yaml").read_text(encoding="utf-8"))
    for cell in document["cells"]:
        plain = method == base_of(method)
        same_method = plain and (method.F, method.reference) == (cell["F"], cell["reference"])
        if key == "win_rate" and same_method and (task, loss) == (cell["task"], cell["loss"]):
            return cell["win_rate"] / 100
    return float("nan")


def published_label() -> tuple[str, str]:
    """The legend's name for the paper's numbers, and their source."""
    document = yaml.safe_load(files("analysis").joinpath("published.yaml").read_text(encoding="utf-8"))
    return document["label"], document["source"]


def stars(table: pd.DataFrame) -> str:
    """The sentence on the paper's marks; empty if the table has none."""
    return (
        f" Stars: {published_label()[1]}, a larger model on other data; the paper counts ties as losses, this project "
        "counts them as half a win."
        if table["published"].notna().any()
        else ""
    )


def absent(grid: Grid, methods: Iterable[Method]) -> str:
    """The sentence on methods that the figure should show but that have no runs; empty if there are none."""
    there = {base_of(cell.method) for cell in grid}
    names = [method.name for method in methods if method not in there]
    return f"Not there, because never run: {', '.join(names)}." if names else ""


def base_of(method: Method) -> Method:
    """The method with the same rounds and reference, one pair per prompt and no variant."""
    return Method(method.place, method.F, method.reference)


def without_ensemble(method: Method) -> Method:
    """The method without its ensemble size."""
    return replace(method, variant=", ".join(part for part in _parts(method) if not part.startswith("ensemble ")))


def uniform_of(method: Method) -> Method:
    """The method with the same rounds, reference and ensemble size, and one pair per prompt."""
    ensemble = ", ".join(part for part in _parts(method) if part.startswith("ensemble "))
    return replace(base_of(method), variant=ensemble)


def _parts(method: Method) -> list[str]:
    return method.variant.split(", ")


def by_uniform(grid: Grid) -> dict[tuple[str, str, Method], list[Method]]:
    """(task, loss, uniform method) -> the methods that differ from it only in the allocation, itself included."""
    groups: dict[tuple[str, str, Method], list[Method]] = {}
    for task, loss, method in present(grid):
        groups.setdefault((task, loss, uniform_of(method)), []).append(method)
    return groups


def one_allocation(grid: Grid) -> Grid:
    """The runs of one allocation, for figures on rounds and references: of one pair per prompt, if there are any."""
    if not grid:
        return grid
    first = min(cell.method.allocation for cell in grid)
    return subgrid(grid, lambda cell: cell.method.allocation == first)
