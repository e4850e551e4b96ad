"""What captions and tables are computed from: the runs behind a figure, in words and in numbers."""

from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.cells import Cell, Grid, methods_of, pairs_of, seeds_of, subgrid
from analysis.methods import Method
from analysis.names import LOSSES, TASKS, task_order


def basis(grid: Grid) -> str:
    """The runs behind a figure: how many, of what, judged by whom."""
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
        f"sampled at temperature {values(format(row['temperature'], 'g') for row in rows)}. "
        f"Judge: {values(row['judge'] for row in rows)}, {oracle}."
    )


def values(found: Iterable[Any]) -> str:
    """The different values, sorted: "64" or "32 or 64"."""
    return " or ".join(str(value) for value in sorted(set(found)))


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def spans(numbers: list[int]) -> str:
    """Whole numbers in short: 0-4, or 0, 1, 7."""
    whole = numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2
    return f"{numbers[0]}-{numbers[-1]}" if whole else ", ".join(map(str, numbers))


def scores(grid: Grid, task: str, loss: str, method: Method, key: str) -> np.ndarray:
    """A column of the result rows of one (task, loss, method), by seed; empty if there is none."""
    cells = [Cell(task, loss, method, seed) for seed in seeds_of(grid)]
    return np.array([grid[cell].row[key] for cell in cells if cell in grid], dtype=float)


def present(grid: Grid) -> list[tuple[str, str, Method]]:
    """Every (task, loss, method) that has runs, in the order of panels and legends."""
    having = {cell[:3] for cell in grid}
    return [
        (task, loss, method)
        for task, loss in pairs_of(grid)
        for method in methods_of(grid)
        if (task, loss, method) in having
    ]


def sft_score(grid: Grid, task: str, loss: str, key: str) -> float:
    """The SFT policy's mean score on the prompts of the final evaluation; nan where no run has it."""
    found = [
        row[key]
        for cell, run in grid.items()
        if (cell.task, cell.loss) == (task, loss)
        for row in run.evaluations
        if row["round"] == -1 and row["split"] == run.row["split"] and row[key] is not None
    ]
    return float(np.mean(found)) if found else float("nan")


def published(task: str, loss: str, method: Method, key: str) -> float:
    """What the paper reports, as a fraction; nan where that is not known."""
    document = yaml.safe_load(files("analysis").joinpath("published.yaml").read_text(encoding="utf-8"))
    for cell in document["cells"]:
        plain = method == base_of(method)
        same_method = plain and (method.F, method.reference) == (cell["F"], cell["reference"])
        if key == "win_rate" and same_method and (task, loss) == (cell["task"], cell["loss"]):
            return cell["win_rate"] / 100
    return float("nan")


def published_label() -> tuple[str, str]:
    """How the paper's numbers are named in a legend, and their source."""
    document = yaml.safe_load(files("analysis").joinpath("published.yaml").read_text(encoding="utf-8"))
    return document["label"], document["source"]


def stars(table: pd.DataFrame) -> str:
    """The sentence about the paper's marks, if the table has any."""
    return f" Stars: {published_label()[1]}, a larger model on other data." if table["published"].notna().any() else ""


def absent(grid: Grid, methods: Iterable[Method]) -> str:
    """A sentence on the methods that a figure should have and that were not run at all; empty if there is none."""
    there = {base_of(cell.method) for cell in grid}
    names = [method.name for method in methods if method not in there]
    return f"Not there, because never run: {', '.join(names)}." if names else ""


def base_of(method: Method) -> Method:
    """A method's rounds and reference alone, one pair a prompt."""
    return Method(method.place, method.F, method.reference)


def without_ensemble(method: Method) -> Method:
    """A method without the size of its ensemble."""
    return replace(method, variant=", ".join(part for part in _parts(method) if not part.startswith("ensemble ")))


def uniform_of(method: Method) -> Method:
    """The method of the same rounds, reference and ensemble that takes one pair a prompt."""
    ensemble = ", ".join(part for part in _parts(method) if part.startswith("ensemble "))
    return replace(base_of(method), variant=ensemble)


def _parts(method: Method) -> list[str]:
    return method.variant.split(", ")


def by_uniform(grid: Grid) -> dict[tuple[str, str, Method], list[Method]]:
    """Methods that differ in the allocation alone, by task, loss and the uniform one among them."""
    found: dict[tuple[str, str, Method], list[Method]] = {}
    for task, loss, method in present(grid):
        found.setdefault((task, loss, uniform_of(method)), []).append(method)
    return found


def one_allocation(grid: Grid) -> Grid:
    """The runs of one allocation, for figures about rounds and references: one pair a prompt if there are such runs."""
    if not grid:
        return grid
    first = min(cell.method.allocation for cell in grid)
    return subgrid(grid, lambda cell: cell.method.allocation == first)
