"""Which methods are compared, and their differences by seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.cells import Cell, Grid, Pair, methods_of, subgrid
from analysis.figures.facts import base_of, uniform_of
from analysis.methods import BPO_2, OFFLINE_METHOD, ON_POLICY, Method


@dataclass(frozen=True)
class Contrast:
    """A method minus another one."""

    method: Method
    over: Method

    @property
    def name(self) -> str:
        """The name in figures."""
        return f"{self.method.name} − {self.over.name}"


def contrasts(methods: Iterable[Method]) -> list[Contrast]:
    """Each method minus the offline method with one pair per prompt, and BPO F=2 minus on-policy.

    Methods with several LoRA members are compared with methods that have as many.
    """
    there = sorted(set(methods))
    offline = [Contrast(method, _alike(OFFLINE_METHOD, method)) for method in there]
    on_policy = [
        Contrast(method, _alike(ON_POLICY, method))
        for method in there
        if base_of(method) == BPO_2 and method == uniform_of(method)
    ]
    return [made for made in (*offline, *on_policy) if made.over in there and made.over != made.method]


def contrasts_of(grid: Grid, pairs: Sequence[Pair]) -> list[Contrast]:
    """The contrasts of methods that have runs on every one of some (task, loss) pairs, with a seed in common."""
    of_pairs = [subgrid(grid, lambda cell, pair=pair: cell[:2] == pair) for pair in pairs]  # type: ignore[misc]
    everywhere = set.intersection(*(set(methods_of(cells)) for cells in of_pairs))
    return [contrast for contrast in contrasts(everywhere) if common_seeds(grid, pairs, contrast)]


def common_seeds(grid: Grid, pairs: Sequence[Pair], contrast: Contrast) -> list[int]:
    """The seeds that both methods of a contrast were run with, on every pair."""
    seeds = [
        {cell.seed for cell in grid if cell[:3] == (*pair, method)}
        for pair in pairs
        for method in (contrast.method, contrast.over)
    ]
    return sorted(set.intersection(*seeds))


def differences(grid: Grid, pairs: Sequence[Pair], contrast: Contrast, key: str) -> np.ndarray:
    """A contrast in a column of the result rows: (seeds, pairs), nan where a run has none."""
    return np.array(
        [
            [
                _number(grid[Cell(*pair, contrast.method, seed)].row[key])
                - _number(grid[Cell(*pair, contrast.over, seed)].row[key])
                for pair in pairs
            ]
            for seed in common_seeds(grid, pairs, contrast)
        ]
    )


def _alike(method: Method, other: Method) -> Method:
    """A method with as many LoRA members as another one."""
    return replace(method, variant=uniform_of(other).variant)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
