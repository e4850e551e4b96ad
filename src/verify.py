"""Recompute what a finished run reports from what it left, and say what agrees.

    python -m src.verify outputs/default
    python -m src.verify outputs/* rerun=true

RUN..            folders of finished runs
rerun=true       lets the saved policy answer the prompts of the final evaluation again, too
against=OTHER    instead, compares one run with the same run made on another machine (`src.after_training.two_runs`)

Nothing is written. The exit status is 0 only where nothing differs; what cannot be checked is named with the reason.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.after_training.check import AGREES, DIFFERS, UNKNOWN, Check, close, few, same, shown, unknown
from src.after_training.finished_run import Left, read_left
from src.after_training.head_to_head import play
from src.after_training.two_runs import agreement
from src.build import quiet_libraries
from src.cli.arguments import own_arguments, refuse_flags
from src.cli.read_fields import read_fields
from src.config import Data, TaskSpec
from src.data.splits import Splits
from src.evaluate import read_request
from src.evaluation.win_rate import distinct, unique_rate, win_figures
from src.learning.schedule import resolve_rounds
from src.oracles.base import Comparer, Oracle, Scoring, draw_labels, verdicts_of
from src.records import Prompt, Row, Tally
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream
from src.storage.checksums import SUMS, damage
from src.storage.files import local_path
from src.storage.run_name import config_hash

# Sums in another order differ in the last digits; a fit by iterations and a model's scores by more.
TOLERANCE, FITTED, SCORED = 1e-9, 1e-4, 1e-3


@dataclass(frozen=True)
class Parts:
    """Those parts of a configuration that numbers are computed from, whatever has become of the others."""

    task: TaskSpec
    data: Data
    oracle: Oracle
    judge: Oracle


def verify(path: Path, rerun: bool, report: Report) -> list[Check]:
    """Every check of a run, in the order in which a run makes things.

    Raises:
        RunError: if there is no finished run there, or a file is damaged.
    """
    left = read_left(path)
    parts, problems = read_fields(Parts, {name: left.config.get(name) for name in ("task", "data", "oracle", "judge")})
    try:
        checks = configuration(left)
        splits, found = data(left, parts, problems)
        checks += [*found, *budget(left), labels(left, parts), steps(left), *evaluations(left)]
        checks += [outcomes(left), *scores(left, parts, splits, problems), files(left)]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RunError(
            f"{path}: a row or a setting is not one that a run writes ({type(error).__name__}: {error}); a file there "
            "is damaged, or was made by another version"
        ) from error
    return [*checks, *([again(left, report)] if rerun else [])]


def configuration(left: Left) -> list[Check]:
    """The hash of config.yaml, and whether every row says what it says."""
    config, result = left.config, left.result
    said = {
        "task": config["task"]["name"],
        "model": config["model"]["name"],
        "F": resolve_rounds(config["F"], config["T"]),
        "T": config["T"],
        "batch_size": config["batch_size"],
        "ensemble": config["ensemble"],
        "temperature": config["evaluate"]["temperature"],
        "seed": config["seed"],
    }
    wrong = [
        f"{key}={result.get(key)!r}, config.yaml says {value!r}"
        for key, value in said.items()
        if result.get(key) != value
    ]
    wrong += [
        f"{key}={row.get(key)!r} in row {place}, identity.json says {value!r}"
        for place, row in enumerate(left.results, 1)
        for key, value in left.identity.items()
        if row.get(key) != value
    ]
    identity = Check("identity of the rows", DIFFERS if wrong else AGREES, few(wrong) or f"{len(left.results)} rows")
    return [same("config_hash", result.get("config_hash"), config_hash(config), "of config.yaml"), identity]


def data(left: Left, parts: Mapping[str, Any], problems: Sequence[str]) -> tuple[Splits | None, list[Check]]:
    """The rows that the run was made from, and checks of them; None where they cannot be had."""
    names = "data_fingerprint", "prompts and labels of samples"
    if parts["task"] is None or parts["data"] is None:
        return None, [
            unknown(name, few([one for one in problems if one.startswith(("task", "data"))])) for name in names
        ]
    try:
        splits: Splits = parts["data"].load(parts["task"].name)
    except (ConfigError, RunError, OSError) as error:
        return None, [unknown(name, " ".join(str(error).split())) for name in names]
    told = left.identity.get("data_fingerprint")
    found = [
        unknown(names[0], "the run is of a version that noted none")
        if told is None
        else same(names[0], told, splits.fingerprint(), "of the data as they are now")
    ]
    rows = {name: {(row.prompt, row.label) for row in rows} for name, rows in splits.named().items()}
    strange = [one for one in left.samples if (one["prompt"], one["label"]) not in rows.get(one["split"], set())]
    said = [f"prompt {one['prompt_id']} of {one['split']} is not in the data" for one in strange]
    found.append(Check(names[1], DIFFERS if said else AGREES, few(said) or f"{len(left.samples)} rows"))
    return splits, found


def budget(left: Left) -> list[Check]:
    """What was spent, counted in pairs/."""
    result, noted = left.result, left.pairs[-1][1] if left.pairs else {}
    pairs = [row for rows, _ in left.pairs for row in rows]
    annotated = sum(left.annotated)
    undecided, ties = result["oracle_ties"] + result["oracle_invalid"], "ties and unusable answers"
    checks = [
        same("annotated_pairs", result["annotated_pairs"], annotated, "in pairs/"),
        same(ties, undecided, sum(row["chosen"] is None for row in pairs), "in pairs/")
        if annotated == len(pairs)
        else unknown(ties, "of pairs that were annotated beyond the budget, only those that were used are kept"),
    ]
    after = {0: 0}
    for number, count in enumerate(left.annotated):
        after[number + 1] = after[number] + count
    wrong = [
        f"{row['annotated_pairs']} after step {row['step']}, {expected} in pairs/"
        for row in left.results
        if row["round"] >= 0
        and row["annotated_pairs"] != (expected := after.get(row["round"] + 1, -1) * (row["step"] > 0))
    ]
    checks.append(
        Check("annotated_pairs by round", DIFFERS if wrong else AGREES, few(wrong) or str(list(after.values())[1:]))
    )
    planned = [sum(prompt["depth"] for prompt in plan.prompts) if plan else None for plan in left.plans]
    unplanned = [
        f"{len(rows)} in round {number}, its plan says {count}"
        for number, ((rows, _), count) in enumerate(zip(left.pairs, planned, strict=True))
        if count not in (None, len(rows))
    ]
    checks.append(
        Check("pairs of the plans", DIFFERS if unplanned else AGREES, few(unplanned) or f"{len(planned)} rounds")
    )
    most = left.config["T"] * left.config["batch_size"]
    beyond = f", and {annotated - len(pairs)} annotated besides" if annotated > len(pairs) else ""
    within = f"{len(pairs)} of T x batch_size = {most}{beyond}"
    checks.append(Check("budget kept", AGREES if len(pairs) <= most else DIFFERS, within))
    tally = [
        f"{name}={result[name]}, {noted.get(name)} in pairs/"
        for name in vars(Tally())
        if result[name] != noted.get(name)
    ]
    checks.append(Check("what the last round noted", DIFFERS if tally else AGREES, few(tally) or "every count"))
    texts = {
        (place, row["prompt_id"], tuple(one["ids"]))
        for place, (rows, _) in enumerate(left.pairs)
        for row in rows
        for one in row["responses"]
    }
    if left.result["oracle"] == "dataset":
        return [*checks, same("generated_responses", result["generated_responses"], 0, "where the data have the pairs")]
    enough = result["generated_responses"] >= len(texts)
    said = f"{result['generated_responses']}, of which {len(texts)} different ones stand in pairs/"
    return [*checks, Check("generated_responses", AGREES if enough else DIFFERS, said)]


def labels(left: Left, parts: Mapping[str, Any]) -> Check:
    """Whether the preferences are those that the oracle's scores, its noise and the seed give."""
    name = "preferences of pairs"
    oracle: Oracle | None = parts["oracle"]
    if left.result["oracle"] == "dataset":
        return unknown(name, "they came with the data")
    if oracle is None:
        return unknown(name, "the oracle's settings cannot be read")
    if not isinstance(oracle, Scoring):
        return unknown(name, "the oracle gives no scores")
    temperature, flip = oracle.temperature, oracle.flip
    ordered = all(plan is None or plan.allocation == "uniform" or plan.fallback for plan in left.plans)
    if (temperature or flip) and not ordered:
        return unknown(name, "they are noisy, and which pair was annotated when is not kept for this allocation")
    wrong = []
    for number, (rows, _) in enumerate(left.pairs):
        scored = np.array([[one["score"] for one in row["responses"]] for row in rows], dtype=float).reshape(-1, 2)
        rng = numpy_stream(left.config["seed"], "annotate", number)
        drawn = draw_labels(verdicts_of(scored), temperature, flip, rng)
        for row, label in zip(rows, drawn.tolist(), strict=True):
            if row["chosen"] != (expected := label if label in (0, 1) else None):
                wrong.append(f"round {number}, prompt {row['prompt_id']}: {row['chosen']}, the scores say {expected}")
    count = sum(len(rows) for rows, _ in left.pairs)
    return Check(name, DIFFERS if wrong else AGREES, few(wrong) or f"{count} follow from scores and seed")


def steps(left: Left) -> Check:
    """Whether there is a row of metrics for each step, once."""
    there, T = [row["step"] for row in left.metrics], left.config["T"]
    fine = there == list(range(T))
    return Check("steps in metrics.jsonl", AGREES if fine else DIFFERS, f"{len(there)} rows, T={T}")


def evaluations(left: Left) -> list[Check]:
    """Every figure of every result row, from its samples: one check a figure, over all rows."""
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    lacking = 0
    for row in left.results:
        place = {key: row[key] for key in ("split", "round", "step")}
        samples = [one for one in left.samples if all(one[key] == value for key, value in place.items())]
        figures = recomputed(samples)
        lacking += "win_rate_length_controlled" not in figures
        for name, value in figures.items():
            found.setdefault(name, []).append((row, value))
    checks = []
    for name, both in found.items():
        tolerance = FITTED if name == "win_rate_length_controlled" else TOLERANCE
        wrong = [
            f"{row[name]} after step {row['step']} on {row['split']}, {value} from samples.jsonl"
            for row, value in both
            if not close(row[name], value, tolerance)
        ]
        checks.append(Check(name, DIFFERS if wrong else AGREES, few(wrong) or shown(both[-1][1])))
    if lacking:
        checks.append(unknown("lengths", "samples.jsonl has no token counts; it is of an earlier version"))
    checks.append(unknown("kl_sft", "it needs both policies; src.train computes it"))
    return checks


def recomputed(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a result row from its samples; without lengths where samples have none."""
    results = np.array([math.nan if one["outcome"] is None else one["outcome"] for one in samples])
    scored = [one["response_score"] for one in samples if one["response_score"] is not None]
    texts = [one["response"] for one in samples]
    sizes = [
        np.array([one.get(f"{side}_tokens", math.nan) for one in samples], dtype=float)
        for side in ("response", "label")
    ]
    figures = win_figures(results, *(np.nan_to_num(size) for size in sizes)) | {
        "judge_score_mean": float(np.mean(scored)) if scored else None,
        "distinct_3": distinct(texts),
        "unique_rate": unique_rate(texts) if texts else None,
    }
    if any(np.isnan(size).any() for size in sizes):
        return {name: value for name, value in figures.items() if name != "win_rate_length_controlled"}
    lengths = [float(size.mean()) if len(size) else None for size in sizes]
    return figures | {"response_tokens_mean": lengths[0], "label_tokens_mean": lengths[1]}


def outcomes(left: Left) -> Check:
    """Whether the outcome of every sample is what the two scores beside it say."""
    name = "outcomes of samples"
    scored = [one for one in left.samples if one["response_score"] is not None]
    if not scored:
        return unknown(name, "the judge compares and gives no scores")
    both = np.array([[one["response_score"], one["label_score"]] for one in scored], dtype=float)
    wrong = [
        f"{one['outcome']} of prompt {one['prompt_id']} on {one['split']}, the scores say {said}"
        for one, said in zip(scored, verdicts_of(both).outcomes().tolist(), strict=True)
        if one["outcome"] != said
    ]
    return Check(name, DIFFERS if wrong else AGREES, few(wrong) or f"{len(scored)} follow from scores")


def scores(left: Left, parts: Mapping[str, Any], splits: Splits | None, problems: Sequence[str]) -> list[Check]:
    """The judge's scores of the final evaluation and the oracle's of all pairs, asked for again."""
    result = left.result
    place = {key: result[key] for key in ("split", "round", "step")}
    final = [one for one in left.samples if all(one[key] == value for key, value in place.items())]
    judged = [(one["prompt"], one[side], one[f"{side}_score"]) for one in final for side in ("response", "label")]
    pairs = [
        (row["prompt"], one["text"], one["score"]) for rows, _ in left.pairs for row in rows for one in row["responses"]
    ]
    rows = {row.prompt: row for named in (splits.named().values() if splits else ()) for row in named}
    oracle, judge = parts["oracle"], parts["judge"]
    found = [_scored_again("scores of the judge", oracle if oracle == judge else judge, splits, rows, judged, problems)]
    if result["oracle"] != "dataset":
        found.append(_scored_again("scores of the oracle", oracle, splits, rows, pairs, problems))
    return found


def _scored_again(
    name: str,
    oracle: Oracle | None,
    splits: Splits | None,
    rows: Mapping[str, Row],
    told: Sequence[tuple[str, str, float | None]],
    problems: Sequence[str],
) -> Check:
    if oracle is None:
        return unknown(name, few([one for one in problems if one.startswith(("oracle", "judge"))]))
    if not isinstance(oracle, Scoring):
        return unknown(name, f"{oracle.name} compares and gives none, and asking it again would cost something")
    if wrong := oracle.problems():
        return unknown(name, few(wrong))
    if oracle.name == "gold" and splits is None:
        return unknown(name, "the data cannot be read")
    known = [one for one in told if one[0] in rows] if oracle.name == "gold" else told
    prompts = [Prompt(place, rows.get(one[0], Row(one[0], "")), (), ()) for place, one in enumerate(known)]
    try:
        oracle.load()
        again = Comparer(oracle, splits.world if splits else None).scores(prompts, [one[1] for one in known])
    except (ConfigError, RunError, OSError) as error:
        return unknown(name, " ".join(str(error).split()))
    wrong = [
        f"{score} of {text[:40]!r}, {now} now"
        for (_, text, score), now in zip(known, again.tolist(), strict=True)
        if not close(score, now, TOLERANCE if oracle.name == "gold" else SCORED)
    ]
    wrong += [f"{len(told) - len(known)} texts belong to no prompt of the data"] * (len(known) < len(told))
    return Check(name, DIFFERS if wrong else AGREES, few(wrong) or f"{len(told)} of {oracle.name}")


def files(left: Left) -> Check:
    """Whether the files are those that the run left when it ended, the policy among them."""
    sums = left.path / SUMS
    if not sums.is_file():
        return unknown("files", f"there is no {SUMS}; the run is of an earlier version")
    wrong = [line.replace(f"{left.path}/", "") for line in damage(left.path)]
    count = len(sums.read_text(encoding="utf-8", errors="replace").splitlines())
    return Check("files", DIFFERS if wrong else AGREES, few(wrong) or f"{count} files have the sums in {SUMS}")


def again(left: Left, report: Report) -> Check:
    """The saved policy's responses to the prompts of the final evaluation, sampled anew."""
    name = "responses, sampled again"
    result = left.result
    try:
        request = read_request([f"policy={left.path}", f"split={result['split']}"])
        with report.live():
            now = [one["response"] for one in play(request, report).samples]
    except (ConfigError, RunError, FloatingPointError) as error:
        return unknown(name, " ".join(str(error).split()))
    place = {key: result[key] for key in ("split", "round", "step")}
    told = [one["response"] for one in left.samples if all(one[key] == value for key, value in place.items())]
    equal = sum(one == other for one, other in zip(told, now, strict=False))
    return Check(name, AGREES if told == now else DIFFERS, f"{equal} of {len(told)} are the same")


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    report = Report()
    wrong = 0
    try:
        refuse_flags(arguments, str(__doc__))
        folders, rerun, against = read_command(arguments)
        quiet_libraries()
        for folder in folders:
            checks = agreement(sound(folder), sound(against)) if against else verify(folder, rerun, report)
            report.say(f"{folder}")
            for check in checks:
                report.say(f"  {check.state:11}  {check.what}: {check.said}")
            differ = sum(check.state == DIFFERS for check in checks)
            left_open = sum(check.state == UNKNOWN for check in checks)
            report.say(f"  {len(checks) - differ - left_open} agree, {differ} differ, {left_open} not checked")
            wrong += differ
    except (ConfigError, RunError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")
    sys.exit(1 if wrong else 0)


def sound(path: Path) -> Left:
    """What an undamaged run left.

    Raises:
        RunError: if there is no finished run there, or a file is damaged.
    """
    if found := damage(path):
        raise RunError("; ".join(found))
    return read_left(path)


def read_command(arguments: Sequence[str]) -> tuple[list[Path], bool, Path | None]:
    """The folders, whether to sample again, and the run to compare with.

    Raises:
        ConfigError: with everything that is wrong.
    """
    own, others, problems = own_arguments(arguments, ("rerun", "against"))
    if own.get("rerun", "false") not in ("true", "false"):
        problems.append(f"rerun={own['rerun']}: expected true or false")
    folders = [local_path(one) for one in others]
    against = local_path(own["against"]) if "against" in own else None
    if against is not None and not against.is_dir():
        problems.append(f"against={against}: no such folder")
    if against is not None and own.get("rerun") == "true":
        problems.append("rerun=true checks a run by itself; give it without against=")
    problems += [f"{folder}: no such folder" for folder in folders if not folder.is_dir()]
    if not folders:
        problems.append("expected the folder of a finished run: python -m src.verify outputs/default")
    if problems:
        raise ConfigError(problems)
    return folders, own.get("rerun") == "true", against


if __name__ == "__main__":
    main()
