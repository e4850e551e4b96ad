"""Messages about the runs of an analysis as a whole: errors, and notes on the results."""

from collections.abc import Sequence
from pathlib import Path

from analysis.figures.facts import counted
from analysis.runs import Run, Skipped
from analysis.shown import Shown

NAMED = 5


def nothing_found(project: str | None, folders: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    """The error if there is no finished run, with the command that makes some."""
    source = project or ", ".join(map(str, folders)) or "outputs"
    also = f" ({counted(len(skipped), 'folder')} skipped, named above)" if skipped else ""
    return f"no finished run in {source}{also}; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"


def all_without(runs: Sequence[Run], metric: str) -> str:
    """The error if no run has a metric; empty if one has."""
    without = [run for run in runs if run.row[metric] is None]
    return f"{_without(without, runs, metric)}; use --metric win_rate" if len(without) == len(runs) else ""


def some_without(runs: Sequence[Run], metric: str) -> list[str]:
    """A note if some runs lack a metric."""
    without = [run for run in runs if run.row[metric] is None]
    return [f"{_without(without, runs, metric)}; left out with their method or task"] if without else []


def _without(without: Sequence[Run], runs: Sequence[Run], metric: str) -> str:
    named = f"{', '.join(run.where for run in without[:NAMED])}{', ...' if len(without) > NAMED else ''}"
    whys = dict.fromkeys(_why(run, metric) for run in without)
    return f"--metric {metric}: {counted(len(without), 'run')} of {len(runs)} have none ({named}): {'; '.join(whys)}"


def _why(run: Run, metric: str) -> str:
    """Why a metric is null in the final row of a run."""
    if metric == "win_rate_length_controlled":
        return str(run.row.get("length_controlled_why"))
    if metric == "gold_score_mean":
        return "real text has no gold score"
    return "their judge compares responses and gives no scores"


def invalid(runs: Sequence[Run]) -> list[str]:
    """A note on missing judgements, if there are any."""
    invalid = sum(run.row["n_invalid"] for run in runs)
    asked = sum(run.row["n_prompts"] * run.row["samples"] for run in runs)
    if not invalid:
        return []
    return [
        f"{invalid:,} of {asked:,} responses got no usable verdict of the judge; win rates are over the others, and "
        "the main table has their bounds, whatever the missing judgements are"
    ]


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


def beyond(runs: Sequence[Run], studies: int) -> list[str]:
    """A note on runs that are comparable with too few others to be drawn; empty if there are none."""
    if not runs:
        return []
    named = ", ".join(run.where for run in runs[:NAMED])
    return [
        f"{counted(len(runs), 'run')} more, comparable with none of these {studies} studies, left out: "
        f"{named}{', ...' if len(runs) > NAMED else ''}; --where KEY=VALUE shows some of them."
    ]


def unfinished(begun: Sequence[Shown]) -> list[str]:
    """A note on runs that are not finished; empty if all are."""
    if not begun:
        return []
    each = ", ".join(f"{one.run.where} (step {one.run.row['step']} of {one.run.row['T']})" for one in begun[:NAMED])
    return [
        f"{counted(len(begun), 'run')} not finished, with curves, responses and pairs so far and in no figure: {each}"
        f"{', ...' if len(begun) > NAMED else ''}. The same command makes the page again."
    ]
