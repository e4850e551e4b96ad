"""Which runs may be compared: those that differ only in task, loss, method and seed."""

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.allocations import NO_PART
from analysis.errors import AnalysisError
from analysis.methods import OF_LOSS, method_of
from analysis.rows import TEXTS
from analysis.runs import Run
from analysis.sft_seeds import OWN, SFT_SEED, has_own_policy, with_own_policies

# Settings of how a run is carried out; they do not change its result.
HOW = ("force", "cache", "device", "checkpoint_every", "evaluate.every", "evaluate.validation_prompts", "F", "seed")
HOW_GROUPS = (
    # The names of chosen options; the values that they stand for are compared.
    "choices",
    "logger", "sampler", "model.rows", "model.tokens", "model.gradient_checkpointing", "reference.from_sampling",
)  # fmt: skip
# The same, of an oracle or judge behind an endpoint.
HOW_ASKED = ("api_key_env", "cache", "concurrency", "retries", "timeout")
OF_ROW = (*TEXTS[2:], "T", "batch_size", "ensemble", "temperature", "judge_is_oracle", "n_prompts", "samples")
# Key of the data's fingerprint. Runs of earlier versions lack it, and are not compared in it.
FINGERPRINT = "data_fingerprint"
NAMED = 2


def settings_of(run: Run) -> dict[str, Any]:
    """Everything that can change a run's result: dotted key -> value, from its row and its configuration."""
    settings = {
        key: value
        for key, value in run.settings.items()
        if key not in HOW and not any(_within(key, group) for group in HOW_GROUPS) and not _asked(key)
    }
    known = (FINGERPRINT,) if FINGERPRINT in run.row else ()
    # A run without a result has no split yet, and no number of prompts.
    return settings | {key: run.row[key] for key in (*OF_ROW, *known) if key in run.row}


def read_where(texts: Sequence[str]) -> dict[str, list[str]]:
    """Reads `--where key=value[,value]` options into key -> values.

    Raises:
        AnalysisError: for an option without key or value, or a key given twice.
    """
    wanted: dict[str, list[str]] = {}
    problems = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not (key and equals and all(values.split(","))):
            problems.append(f"--where {text}: expected key=value, as in --where T=64")
        elif key in wanted:
            problems.append(f"--where {key} is given twice; several values go in one: --where {key}=A,B")
        wanted[key] = values.split(",")
    if problems:
        raise AnalysisError(problems)
    return wanted


def selected(runs: Sequence[Run], wanted: Mapping[str, Sequence[str]], others: Sequence[Run] = ()) -> list[Run]:
    """The runs whose settings have one of the values wanted, for every key.

    Args:
        wanted: key -> values.
        others: further runs that may have a key or a value.

    Raises:
        AnalysisError: for a key that no run has, or a value that none has.
    """
    problems = []
    everyone = [*runs, *others]
    for key, values in wanted.items():
        present = [_searchable(run)[key] for run in everyone if key in _searchable(run)]
        if not present:
            known = sorted({name for run in everyone for name in _searchable(run)})
            near = difflib.get_close_matches(key, known, n=3) or known[:12]
            problems.append(f"--where {key}={','.join(values)}: no run has such a key; near it: {', '.join(near)}")
            continue
        absent = [value for value in values if not any(_fits(run, key, [value]) for run in everyone)]
        if absent:
            there = ", ".join(sorted({_text(value) for value in present}))
            problems.append(f"--where {key}={','.join(absent)}: no run has that value; there are: {there}")
    if problems:
        raise AnalysisError(problems)
    return [run for run in runs if all(_fits(run, key, values) for key, values in wanted.items())]


def differences(runs: Sequence[Run], chosen: Mapping[str, Sequence[str]]) -> list[str]:
    """What keeps runs from being compared, one line each; keys that always differ together share a line.

    Runs may differ in task, loss, method and seed, and in the settings that belong to each: those of a task and its
    data between tasks, those of a loss between losses, those of a method between methods. All other settings must be
    equal.

    Args:
        chosen: key -> values of --where; a key chosen with several values may differ between tasks.
    """
    together: dict[tuple[tuple[int, ...], ...], list[str]] = defaultdict(list)
    for key, there in conflicts(runs, chosen):
        together[tuple(sorted(map(tuple, there.values())))].append(key)
    settings = with_own_policies(runs, [settings_of(run) for run in runs])
    return [_line(runs, settings, keys) for keys in together.values()]


def conflicts(
    runs: Sequence[Run], chosen: Mapping[str, Sequence[str]]
) -> list[tuple[str, Mapping[str, Sequence[int]]]]:
    """The settings in which runs are not comparable: the key, and value -> the runs that have it, by their numbers.

    A key is there once for every scope in which runs differ (`differences`).
    """
    settings = with_own_policies(runs, [settings_of(run) for run in runs])
    keys = sorted({key for known in settings for key in known}, key=lambda key: (key not in OF_ROW, len(key), key))
    found: list[tuple[str, Mapping[str, Sequence[int]]]] = []
    for key in keys:
        values: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, (run, known) in enumerate(zip(runs, settings, strict=True)):
            if key == FINGERPRINT and key not in known:
                continue
            values[_scope(key, run, chosen)][_text(known.get(key))].append(number)
        found += [(key, there) for there in values.values() if len(there) > 1]
    return found


def _scope(key: str, run: Run, chosen: Mapping[str, Sequence[str]]) -> tuple[Any, ...]:
    """Runs of the same scope must agree in the key."""
    row = run.row
    if key in ("task", "loss", "reference", "ensemble", "allocation", *OF_LOSS):
        return (run.where,)
    if _within(key, "loss"):
        return (row["loss"], row["task"]) if len(chosen.get(key, ())) > 1 else (row["loss"],)
    if _within(key, "reference"):
        # Each loss may have its own gold policy. Both references of the offline method are the SFT policy.
        return (row["task"], row["loss"], row["reference"], method_of(run))
    if _within(key, "allocation"):
        # Its settings make another method; its class and the path of its embedding model must agree.
        another = key.removeprefix("allocation.") not in NO_PART
        return (run.where,) if another else (row["allocation"], run.settings.get("allocation.embedder"))
    if (
        key in ("n_prompts", "samples", FINGERPRINT)
        or _within(key, "task")
        or key.startswith("data.")
        or len(chosen.get(key, ())) > 1
    ):
        return (row["task"],)
    return ()


def _line(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    key, *others = dict.fromkeys(keys)
    where: dict[str, list[str]] = defaultdict(list)
    for run, known in zip(runs, settings, strict=True):
        where[_text(known.get(key))].append(run.where)
    parts = [
        f"{value} in {len(places)} ({', '.join(places[:NAMED])}{', ...' if len(places) > NAMED else ''})"
        for value, places in sorted(where.items())
    ]
    also = f", and with it {', '.join(others[:6])}{', ...' if len(others) > 6 else ''}" if others else ""
    first = next(iter(sorted(where)))
    return f"runs that are not comparable: {key} is {'; '.join(parts)}{also}; choose with --where {key}={first}"


def _searchable(run: Run) -> dict[str, Any]:
    row = run.row
    rounds = {"F": row["F"], "seed": row["seed"], "run_id": row["run_id"], "git_sha": row.get("git_sha")}
    return settings_of(run) | rounds


def _fits(run: Run, key: str, values: Sequence[str]) -> bool:
    known = _searchable(run)
    if key == "F" and "T" in values and run.row["F"] == run.row["T"]:
        return True
    if key == SFT_SEED and OWN in values and has_own_policy(run):
        return True
    return key in known and any(_means(value, known[key]) for value in values)


def _means(text: str, value: Any) -> bool:
    """Whether a text typed on the command line denotes a value: 0.0003 denotes 3e-4."""
    if text == _text(value):
        return True
    if type(value) not in (int, float):
        return False
    try:
        return float(text) == value
    except ValueError:
        return False


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _asked(key: str) -> bool:
    role, _, name = key.partition(".")
    return role in ("oracle", "judge") and name in HOW_ASKED


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")
