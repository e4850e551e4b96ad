"""Predicted against measured, on the result files of other benchmarks.

The first measurement of each stage sets the share of the machine's rate that is reached; all others are predicted with
these shares.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.planning.hardware import Hardware
from benchmarks.planning.job import Job
from benchmarks.planning.measurements import Measured, measured
from src.runtime.report import Report

# Stage -> the share that its first measurement sets, in the order in which the shares are set.
SHARES = {"learning": "share_learn", "reference": "share_score", "sampling": "share_read"}
WITHIN = 0.25


def checked(files: Sequence[Path], job: Job) -> dict[str, Any]:
    """Every measurement in the files beside its prediction.

    Args:
        job: gives the machine; the models are those of the files.

    Raises:
        RunError: if a file holds no measurement, or its data or model is gone.
    """
    measurements = [measurement for file in files for measurement in measured(file, job)]
    machine, used = calibrated(job.hardware, measurements)
    rows: list[dict[str, Any]] = []
    rest = [measurement for measurement in measurements if measurement not in used]
    for (source, stage), group in _grouped(rest).items():
        ratios = [measurement.predict(machine) / measurement.value for measurement in group]
        rows.append(
            {
                "source": source,
                "stage": stage,
                "count": len(group),
                "measured": statistics.median(measurement.value for measurement in group),
                "predicted": statistics.median(measurement.predict(machine) for measurement in group),
                "ratio": statistics.median(ratios),
                "ratio_spread": [min(ratios), max(ratios)],
                "ratios": ratios,
            }
        )
    all_ratios = [ratio for row in rows for ratio in row["ratios"]]
    return {
        "predictions": rows,
        "count": len(all_ratios),
        "within": sum(abs(ratio - 1) <= WITHIN for ratio in all_ratios),
        "shares": {share: getattr(machine, share) for share in SHARES.values()},
        "set_by": {measurement.stage: [measurement.source, measurement.value] for measurement in used},
        "machine": asdict(machine),
    }


def _grouped(measurements: Sequence[Measured]) -> dict[tuple[str, str], list[Measured]]:
    groups: dict[tuple[str, str], list[Measured]] = {}
    for measurement in measurements:
        groups.setdefault((measurement.source, measurement.stage), []).append(measurement)
    return groups


def calibrated(machine: Hardware, measurements: Sequence[Measured]) -> tuple[Hardware, list[Measured]]:
    """The machine with its shares set by the first measurement of each stage, and these measurements."""
    firsts = {stage: measurement for stage in SHARES for measurement in reversed(measurements)
              if measurement.stage == stage}  # fmt: skip
    for _ in range(3):  # setting one share moves the others a little
        for stage, measurement in firsts.items():
            machine = _with(machine, SHARES[stage], _share(machine, SHARES[stage], measurement))
    return machine, list(firsts.values())


def _with(machine: Hardware, share: str, value: float) -> Hardware:
    return Hardware(**{**vars(machine), share: value})


def _share(machine: Hardware, name: str, measurement: Measured) -> float:
    """The share, 0.001 to 1, at which the prediction equals the measurement; by bisection, as time falls with it."""
    low, high = 1e-3, 1.0
    for _ in range(50):
        middle = (low * high) ** 0.5
        slower = measurement.predict(_with(machine, name, middle)) > measurement.value
        low, high = (middle, high) if slower else (low, middle)
    return high


def show_checked(figures: dict[str, Any], report: Report) -> None:
    """Prints predicted beside measured."""
    table = Table("of", "stage", "times", "measured", "predicted", "ratio", "from", "to")
    for row in figures["predictions"]:
        values = (_amount(row["stage"], row[key]) for key in ("measured", "predicted"))
        ratios = (f"{value:.2f}" for value in (row["ratio"], *row["ratio_spread"]))
        table.add_row(row["source"], row["stage"], str(row["count"]), *values, *ratios)
    report.console.print(table)
    for stage, (source, value) in figures["set_by"].items():
        share = SHARES[stage]
        report.say(f"{share}: {figures['shares'][share]:.3f}, set by {value:.4g} s of {stage} in {source}")
    report.say(f"{figures['within']} of {figures['count']} measurements predicted within {WITHIN:.0%}")


def _amount(stage: str, value: float) -> str:
    return f"{value / 2**30:.2f} GiB" if stage == "memory" else f"{value:.3g} s"
