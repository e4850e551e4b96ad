"""A grid with the runs of every figure."""

import numpy as np

from analysis.cells import Grid, make_grid
from analysis.figures.figure import Study
from analysis.figures.kinds import KINDS
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.runs import Run
from tests.analysis.made_runs import METHODS, rows

STUDY = Study(METRICS["win_rate"], Bootstrap(100, 0, lambda done: None), published=True)
WIDE = METHODS | {"bpo8": {"F": 8}, "gold": {"F": 64, "reference": "gold"}, "two": {"F": 2, "ensemble": 2}}
WIDE |= {"random": {"F": 2, "allocation": "random_pairs"}, "balancedT": {"F": 64, "allocation": "balanced"}}
# Those of runs on disk are tested for themselves.
OF_ROWS = tuple(kind for kind in KINDS if kind.name not in ("clusters", "proxy"))


def grid(
    tasks: tuple[str, ...] = ("tldr", "helpfulness"),
    losses: tuple[str, ...] = ("dpo",),
    tied: bool = False,
    seeds: int = 3,
) -> Grid:
    """A grid with every figure's runs."""
    generator = np.random.default_rng(0)
    runs = []
    for task in tasks:
        for loss in losses:
            for name, method in WIDE.items():
                for seed in range(seeds):
                    wins = 120 if tied else int(generator.integers(100, 160))
                    made = rows(wins, **method, task=task, loss=loss, seed=seed)
                    runs.append(Run(f"{name} {task} {loss} {seed}", made[-1], tuple(made[:-1]), {}, None))
    found, _, problems = make_grid(runs)
    assert problems == []
    return found
