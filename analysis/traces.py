"""Single runs on the page: training curves from metrics.jsonl, samples of the final evaluation."""

from analysis.cells import Cell, Grid
from analysis.final_samples import count_of, final_samples, lines_of, readable
from analysis.page.contents import Curves, SampleSet
from analysis.runs import Run

SERIES = (
    "loss", "rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected", "kl/sft", "kl/behavior",
    "grad_norm",
)  # fmt: skip
# Most points and samples of all runs together, so that a browser can open the page.
POINTS, SAMPLES = 400_000, 20_000


def curves(grid: Grid) -> list[Curves]:
    """Training curves of every run on disk, thinned evenly to `POINTS` points in all."""
    most = max(POINTS // (len(SERIES) * max(len(grid), 1)), 10)
    return [_curves(cell, run, most) for cell, run in ordered(grid) if run.folder is not None]


def sample_sets(grid: Grid, wanted: int) -> list[SampleSet]:
    """The first samples of every run on disk.

    Args:
        wanted: samples per run; fewer if the page would hold more than `SAMPLES`. The rest is counted as left out.
    """
    first = min(wanted, max(SAMPLES // max(len(grid), 1), 1))
    return [_samples(cell, run, first) for cell, run in ordered(grid) if run.folder is not None]


def ordered(grid: Grid) -> list[tuple[Cell, Run]]:
    """(cell, run) sorted by loss, task, method and seed."""
    return sorted(grid.items(), key=lambda item: (item[0].loss, item[0].task, item[0].method, item[0].seed))


def _curves(cell: Cell, run: Run, most: int) -> Curves:
    assert run.folder is not None
    series: dict[str, list[tuple[int, float]]] = {}
    for measured in readable(lines_of(run.folder / "metrics.jsonl")):
        for name in SERIES:
            if isinstance(measured.get(name), int | float) and isinstance(measured.get("step"), int):
                series.setdefault(name, []).append((measured["step"], _short(measured[name])))
    for row in (*run.evaluations, run.row):
        if row["round"] >= 0 and row["win_rate"] is not None:
            name = f"win_rate ({row['split']}, {row['n_prompts']} prompts)"
            series.setdefault(name, []).append((row["step"], _short(row["win_rate"])))
    thin = {name: points[:: -(-len(points) // most)] for name, points in series.items()}
    return Curves(run.row["run_id"], cell.task, cell.loss, cell.method.name, cell.seed, thin)


def _samples(cell: Cell, run: Run, first: int) -> SampleSet:
    rows = final_samples(run, first)
    return SampleSet(
        run.row["run_id"], cell.task, cell.loss, cell.method.name, cell.seed, rows, left_out=count_of(run) - len(rows)
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")
