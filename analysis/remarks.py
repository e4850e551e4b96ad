"""Messages about the runs of an analysis as a whole: errors, and notes on the results."""

from collections.abc import Sequence
from pathlib import Path

from analysis.figures.facts import counted
from analysis.runs import Run, Skipped

NAMED = 5


def nothing_found(project: str | None, folders: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    """The error if there is no finished run, with the command that makes some."""
    source = project or ", ".join(map(str, folders)) or "outputs"
    also = f" ({counted(len(skipped), 'folder')} skipped, named above)" if skipped else ""
    return f"no finished run in {source}{also}; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"


def without(runs: Sequence[Run], metric: str) -> str:
    """The error if runs lack a metric, since a judge that compares gives no scores; empty if none does."""
    without = [run.where for run in runs if run.row[metric] is None]
    if not without:
        return ""
    named = f"{', '.join(without[:NAMED])}{', ...' if len(without) > NAMED else ''}"
    return (
        f"--metric {metric}: {counted(len(without), 'run')} of {len(runs)} have none ({named}); "
        "their judge compares responses and gives no scores; use --metric win_rate"
    )


def invalid(runs: Sequence[Run]) -> list[str]:
    """A note on unusable answers of the judge, if there are any."""
    lost, asked = (sum(run.row[key] for run in runs) for key in ("n_invalid", "n_prompts"))
    if not lost:
        return []
    return [f"{lost} of {asked} answers of the judge were of no use; win rates are over the other prompts (n_invalid)"]


def commits(runs: Sequence[Run]) -> list[str]:
    """A note if the runs were made by several commits of the code."""
    by_commit: dict[str, list[str]] = {}
    for run in runs:
        by_commit.setdefault(str(run.row.get("git_sha"))[:10], []).append(run.where)
    if len(by_commit) < 2:
        return []
    parts = [f"{sha} in {counted(len(places), 'run')} ({places[0]}, ...)" for sha, places in sorted(by_commit.items())]
    return [f"runs of {len(by_commit)} commits stand together: {'; '.join(parts)}"]


def unknown_settings(runs: Sequence[Run]) -> list[str]:
    """A note if runs without config.yaml could only be compared by their rows."""
    without = [run.where for run in runs if not run.settings]
    if not without or len(without) == len(runs):
        return ["no run has a config.yaml: only what stands in the rows could be compared"] if without else []
    return [f"no config.yaml in {counted(len(without), 'run')} ({without[0]}, ...): only rows could be compared"]


def skipped_in_short(skipped: Sequence[Skipped]) -> list[str]:
    """A note that names the runs left out, in one sentence."""
    if not skipped:
        return []
    named = ", ".join(f"{run.where} ({run.why})" for run in skipped[:NAMED])
    return [f"{counted(len(skipped), 'run')} left out: {named}{', ...' if len(skipped) > NAMED else ''}."]
