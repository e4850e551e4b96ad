"""The metrics that runs are compared by: columns of the result row, with their names and units in figures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A score; higher is better.

    Attributes:
        key: the column of the result row.
        label: name in figures, with the unit.
        scale: factor from rows to figures: win rates are shown in per cent.
        gamma: the score that leaves no optimality gap; None: no gap is shown.
        digits: decimals shown.
    """

    key: str
    label: str
    scale: float
    gamma: float | None
    digits: int

    def show(self, value: float, signed: bool = False) -> str:
        """A value as text in the metric's unit.

        Args:
            signed: whether a positive value gets a plus sign.
        """
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"


METRICS = {
    metric.key: metric
    for metric in (
        Metric("win_rate", "win rate (%)", 100.0, 1.0, 1),
        Metric("win_rate_length_controlled", "length-controlled win rate (%)", 100.0, 1.0, 1),
        Metric("judge_score_mean", "mean judge score", 1.0, None, 2),
    )
}
