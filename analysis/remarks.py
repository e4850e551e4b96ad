"""What is said about the runs of an analysis: what is wrong with all of them together, and what to bear in mind."""

from collections.abc import Sequence
from pathlib import Path

from analysis.figures.facts import counted
from analysis.runs import Run, Skipped

NAMED = 5


def nothing_found(project: str | None, folders: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    """What to do where there is no run."""
    place = project or ", ".join(map(str, folders)) or "outputs"
    also = f" ({counted(len(skipped), 'folder')} skipped, named above)" if skipped else ""
    return f"no finished run in {place}{also}; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"


def without(runs: Sequence[Run], metric: str) -> str:
    """What keeps a metric from being compared, or nothing: a judge that compares gives no scores."""
    without = [run.where for run in runs if run.row[metric] is None]
    if not without:
        return ""
    named = f"{', '.join(without[:NAMED])}{', ...' if len(without) > NAMED else ''}"
    return (
        f"--metric {metric}: {counted(len(without), 'run')} of {len(runs)} have none ({named}); "
        "their judge compares responses and gives no scores; use --metric win_rate"
    )


def invalid(runs: Sequence[Run]) -> list[str]:
    """How many answers of the judge count for nothing, if any do."""
    lost, asked = (sum(run.row[key] for run in runs) for key in ("n_invalid", "n_prompts"))
    if not lost:
        return []
    return [f"{lost} of {asked} answers of the judge were of no use; win rates are over the other prompts (n_invalid)"]


def commits(runs: Sequence[Run]) -> list[str]:
    """A warning where runs were made by several versions of the code."""
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(str(run.row.get("git_sha"))[:10], []).append(run.where)
    if len(found) < 2:
        return []
    parts = [f"{sha} in {counted(len(places), 'run')} ({places[0]}, ...)" for sha, places in sorted(found.items())]
    return [f"runs of {len(found)} commits stand together: {'; '.join(parts)}"]


def unknown_settings(runs: Sequence[Run]) -> list[str]:
    """A warning where settings could not be compared."""
    without = [run.where for run in runs if not run.settings]
    if not without or len(without) == len(runs):
        return ["no run has a config.yaml: only what stands in the rows could be compared"] if without else []
    return [f"no config.yaml in {counted(len(without), 'run')} ({without[0]}, ...): only rows could be compared"]


def skipped_in_short(skipped: Sequence[Skipped]) -> list[str]:
    """Which runs were left out, in a sentence."""
    if not skipped:
        return []
    named = ", ".join(f"{one.where} ({one.why})" for one in skipped[:NAMED])
    return [f"{counted(len(skipped), 'run')} left out: {named}{', ...' if len(skipped) > NAMED else ''}."]
