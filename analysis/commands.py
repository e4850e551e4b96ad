"""Commands that make runs: the missing ones of a grid, and a run again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.cells import Cell, Grid
from analysis.methods import Method
from analysis.runs import Run
from analysis.typed_overrides import SFT_SEED, overrides_from

# The defaults of conf/train.yaml, which a command for a run without a configuration leaves out.
DEFAULTS = {"T": 64, "batch_size": 32, "ensemble": 1, "model": "tiny", "data": "embedded"}
# Keys and groups that make a method.
OF_METHOD = ("F", "reference", "allocation", "ensemble")


def commands(holes: Sequence[Cell], grid: Grid) -> list[str]:
    """A line for each (task, loss, method) with missing runs: the seeds, and the command that runs them."""
    seeds: dict[tuple[str, str, Method], list[int]] = defaultdict(list)
    for cell in holes:
        seeds[cell[:3]].append(cell.seed)
    return [
        f"missing: {task}, {loss}, {method.name}, seed {', '.join(map(str, wanted))}; run: "
        f"python -m src.train {' '.join(_overrides(task, loss, method, grid))} -m seed={','.join(map(str, wanted))}"
        for (task, loss, method), wanted in seeds.items()
    ]


def _overrides(task: str, loss: str, method: Method, grid: Grid) -> list[str]:
    """The overrides of a missing run: as the runs of its task and loss, with the method of the runs of its method."""
    near = sorted(grid, key=lambda cell: (cell.task != task, cell.loss != loss, cell.method != method))
    of_method = [cell for cell in near if cell.method == method]
    like, example = grid[near[0]], grid[of_method[0]] if of_method else None
    row, settings = dict(like.row), dict(like.settings)
    if example is None:
        row |= {"F": method.F or row["T"], "reference": method.reference}
    elif example is not like:
        row |= {key: example.row[key] for key in OF_METHOD}
        settings = {key: value for key, value in settings.items() if not _of_method(key)}
        settings |= {key: value for key, value in example.settings.items() if _of_method(key)}
        if "reference.path" in settings and example.row["task"] != task:
            # The given policy of another task; the program refuses this name, which says what has to be typed.
            settings["reference.path"] = f"A_POLICY_FOR_{task.upper()}"
    seeds = {run.row["seed"] for run in grid.values()}
    tied = len(seeds) > 1 and all(run.settings.get(SFT_SEED) == run.row["seed"] for run in grid.values())
    if like.row["loss"] != loss:
        settings = {key: value for key, value in settings.items() if key.split(".")[0] != "loss"}
    if like.row["task"] != task:
        settings = {key: value for key, value in settings.items() if key.split(".")[0] != "task"}
    return _words(task, loss, row, settings, tied)


def _words(task: str, loss: str, row: Mapping[str, Any], settings: Mapping[str, Any], tied: bool) -> list[str]:
    """The overrides of a run but for its seed: the task, the loss and the method first."""
    rounds = "T" if row["F"] == row["T"] > 2 else row["F"]
    first = [f"task={task}", f"loss={loss}", f"F={rounds}", f"reference={row['reference']}"]
    known = ("task", "loss", "F", "reference", "seed")
    if any(key.startswith("choices.") for key in settings):
        return [*first, *overrides_from(settings, tied, known)]
    # Without a configuration: what the row says.
    allocation = [f"allocation={row['allocation']}"] * (row["allocation"] != "uniform")
    own = [f"{key}={value}" for key, value in settings.items() if _of_reference(key)]
    return [*first, *own, *allocation, *(f"{key}={row[key]}" for key, usual in DEFAULTS.items() if row[key] != usual)]


def _of_method(key: str) -> bool:
    """Whether a setting belongs to a method."""
    return key.removeprefix("choices.").split(".")[0] in OF_METHOD


def _of_reference(key: str) -> bool:
    return key.startswith("reference.") and not key.endswith(("._target_", ".from_sampling"))


def command_of(run: Run) -> str:
    """The command that makes a run, from its configuration."""
    row = run.row
    words = _words(row["task"], row["loss"], row, run.settings, tied=False)
    return f"python -m src.train {' '.join(words)} seed={row['seed']}"
