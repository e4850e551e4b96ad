"""Checks that a run's files are complete and unchanged."""

from src.after_training.check import AGREES, DIFFERS, Check, none_of, unknown
from src.after_training.finished_run import FinishedRun
from src.storage.checksums import SUMS, damage


def files(run: FinishedRun) -> Check:
    """Whether every file, the policy's too, has the checksum that it had when the run ended."""
    sums = run.path / SUMS
    if not sums.is_file():
        return unknown("files", f"there is no {SUMS}; the run is of an earlier version")
    problems = [line.replace(f"{run.path}/", "") for line in damage(run.path)]
    count = len(sums.read_text(encoding="utf-8", errors="replace").splitlines())
    return none_of("files", problems, f"{count} files have the sums in {SUMS}")


def steps(run: FinishedRun) -> Check:
    """Whether metrics.jsonl has one row for each step."""
    numbers, T = [row["step"] for row in run.metrics], run.config["T"]
    state = AGREES if numbers == list(range(T)) else DIFFERS
    return Check("steps in metrics.jsonl", state, f"{len(numbers)} rows, T={T}")
