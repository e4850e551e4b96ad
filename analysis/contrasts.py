"""Which methods are compared, and their differences by seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.cells import Cell, Grid, Pair, methods_of, subgrid
from analysis.figures.facts import base_of, uniform_of
from analysis.methods import BPO_2, BPO_T, OFFLINE_METHOD, ON_POLICY, Method


@dataclass(frozen=True)
class Contrast:
    """A method minus another one.

    Attributes:
        family: the question that it belongs to; p values are adjusted for the contrasts of a family.
    """

    method: Method
    over: Method
    family: str

    @property
    def name(self) -> str:
        """The name in figures."""
        return f"{self.method.name} − {self.over.name}"


def contrasts(methods: Iterable[Method]) -> list[Contrast]:
    """Each method minus the offline one, BPO F=2 minus on-policy, and BPO F=T minus every other reference at F=T.

    The methods on the right annotate one pair per prompt, and so does BPO in the last two families. Methods with more
    LoRA members are compared with methods that have as many.
    """
    there = sorted(set(methods))
    plain = [method for method in there if method == uniform_of(method)]
    offline = [Contrast(method, _alike(OFFLINE_METHOD, method), "offline") for method in there]
    on_policy = [
        Contrast(method, _alike(ON_POLICY, method), "on-policy") for method in plain if base_of(method) == BPO_2
    ]
    references = [
        Contrast(method, _alike(other, method), "references")
        for method in plain
        if base_of(method) == BPO_T
        for other in plain
        if other.F == 0 and other == _alike(other, method)
    ]
    made = (*offline, *on_policy, *references)
    return [contrast for contrast in made if contrast.over in there and contrast.over != contrast.method]


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
