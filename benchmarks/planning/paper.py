"""The paper's main table as a plan: 3 tasks x 3 losses x 3 methods x 3 seeds."""

import math
from typing import Any

from rich.table import Table

from src.runtime.report import Report

# Task -> mean tokens of its published test prompts. Labels and responses have at most 128 tokens.
PAPER = {"tldr": 330, "helpfulness": 17, "harmlessness": 83}
METHODS = {
    "offline": ("F=1", "reference=behavior"),
    "on-policy": ("F=T", "reference=sft"),
    "BPO, F=2": ("F=2", "reference=behavior"),
}
LOSSES, SEEDS = 3, 3


def paper_table(rows: dict[tuple[str, str], dict[str, Any]], gpus: int) -> dict[str, Any]:
    """GPU hours of the paper's table: of each cell (all losses and seeds), of the SFT policies, and of everything.

    Args:
        rows: (task, method) -> plan of one run, as `run_plan.planned` returns it.
    """
    cells = {task: {m: LOSSES * SEEDS * rows[task, m]["gpu_hours"] for m in METHODS} for task in PAPER}
    policies = {task: rows[task, "offline"]["sft"]["seconds"] / 3600 for task in PAPER}
    runs = math.fsum(hours for methods in cells.values() for hours in methods.values())
    return {
        "gpus": gpus,
        "gpu_hours": {task: methods | {"SFT": policies[task]} for task, methods in cells.items()},
        "gpu_hours_runs": runs,
        "gpu_hours_total": runs + sum(policies.values()),
        "runs": len(rows) * LOSSES * SEEDS,
        "fits": all(row["fits"] for row in rows.values()),
        "memory_gib": max(sum(parts.values()) for row in rows.values() for parts in row["memory"].values()) / 2**30,
        "plans": [{"task": task, "method": method, **row} for (task, method), row in rows.items()],
    }


def show_paper(figures: dict[str, Any], report: Report) -> None:
    """Prints the paper's table."""
    table = Table("GPU hours", *METHODS, "SFT, once", title=f"{figures['runs']} runs, {figures['gpus']} GPUs each")
    for task, hours in figures["gpu_hours"].items():
        table.add_row(task, *(f"{value:.3g}" for value in hours.values()))
    report.console.print(table)
    report.say(
        f"{figures['gpu_hours_runs']:.4g} GPU hours, {figures['gpu_hours_total']:.4g} with the SFT policies; "
        f"at most {figures['memory_gib']:.1f} GiB on a GPU"
    )
    if not figures["fits"]:
        report.warn("some runs need more memory than the machine has")
