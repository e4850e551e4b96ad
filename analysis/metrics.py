"""What is measured of a run: a column of the result row, how figures name it and in which unit they show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A score, higher is better.

    Attributes:
        key: the column of the result row.
        label: its name in figures, with the unit.
        scale: what rows are multiplied by to be shown: win rates are shown in per cent.
        gamma: the score that leaves no gap; None where there is none.
        digits: decimals shown.
    """

    key: str
    label: str
    scale: float
    gamma: float | None
    digits: int

    def show(self, value: float, signed: bool = False) -> str:
        """A value as figures and tables show it, in the metric's unit."""
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"


METRICS = {
    metric.key: metric
    for metric in (
        Metric("win_rate", "win rate (%)", 100.0, 1.0, 1),
        Metric("win_rate_length_controlled", "length-controlled win rate (%)", 100.0, 1.0, 1),
        Metric("judge_score_mean", "mean judge score", 1.0, None, 2),
    )
}
