"""All figures, in the order of the page; analysis/names.py has their names."""

from analysis.figures import (
    aggregates,
    allocation,
    budget,
    clusters,
    cost,
    ensemble,
    improvement,
    profiles,
    rounds,
    steps,
    tradeoffs,
    win_rates,
)
from analysis.figures.figure import Kind

KINDS: tuple[Kind, ...] = (
    win_rates.FIGURE,
    aggregates.FIGURE,
    rounds.FIGURE,
    steps.FIGURE,
    allocation.FIGURE,
    budget.FIGURE,
    clusters.FIGURE,
    tradeoffs.KL,
    tradeoffs.LENGTH,
    ensemble.FIGURE,
    cost.FIGURE,
    improvement.FIGURE,
    profiles.FIGURE,
)
