"""The metrics that runs are compared by: columns of the result row, with their names and units in figures."""

from dataclasses import dataclass
from math import isnan

PER_CENT = 100.0
# The default margin of win rates, in points.
MARGIN = 2.0


@dataclass(frozen=True)
class Metric:
    """A score; higher is better.

    Attributes:
        key: the column of the result row.
        label: name in figures, with the unit.
        scale: factor from rows to figures: win rates are shown in per cent.
        gamma: the score that leaves no optimality gap; None: no gap is shown.
        digits: decimals shown.
        column: the same score of one response, in samples.jsonl; empty if there is none.
    """

    key: str
    label: str
    scale: float
    gamma: float | None
    digits: int
    column: str

    @property
    def name(self) -> str:
        """The name without the unit."""
        return self.label.split(" (")[0]

    @property
    def difference_label(self) -> str:
        """Name of a difference of two scores, with the unit."""
        return f"difference of the {self.label.replace('(%)', '(points)')}"

    def margin(self, typed: float | None) -> float | None:
        """A margin in the unit of the rows; None: there is none for this metric.

        Args:
            typed: in the unit of figures; None: 2 points of a win rate, and no margin of a score.
        """
        if typed is None:
            return MARGIN / self.scale if self.scale == PER_CENT else None
        return typed / self.scale

    def show(self, value: float, signed: bool = False) -> str:
        """A value as text in the metric's unit; a dash if it is nan.

        Args:
            signed: whether a positive value gets a plus sign.
        """
        if isnan(value):
            return "–"
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"


METRICS = {
    metric.key: metric
    for metric in (
        Metric("win_rate", "win rate (%)", PER_CENT, 1.0, 1, "outcome"),
        Metric("win_rate_length_controlled", "length-controlled win rate (%)", PER_CENT, 1.0, 1, ""),
        Metric("judge_score_mean", "mean judge score", 1.0, None, 2, "response_score"),
        Metric("gold_score_mean", "mean gold score", 1.0, None, 2, "gold_score"),
    )
}
