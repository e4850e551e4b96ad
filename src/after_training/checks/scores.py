"""Checks of the scores that oracle and judge gave, and of the labels that follow from the oracle's scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.after_training.check import Check, close, few, none_of, shown, unknown
from src.after_training.checks.evaluations import TOLERANCE
from src.after_training.finished_run import FinishedRun
from src.data.splits import Splits
from src.oracles.base import Oracle, Scoring
from src.oracles.comparer import Comparer
from src.oracles.labels import draw_labels, verdicts_of
from src.records import Prompt, Row
from src.runtime.errors import ConfigError, RunError
from src.runtime.seeding import numpy_stream

# A network's scores depend on the batch in their last digits, by more than sums of Python floats do.
TOLERANCE_OF_MODEL = 1e-3
# Prompt, response, and the score that the run wrote down.
Scored = tuple[str, str, float | None]


def labels(run: FinishedRun, oracle: Oracle | None) -> Check:
    """Whether the preferences are those that the oracle's scores, its noise and the seed give.

    Args:
        oracle: of the run's configuration; None if it cannot be read.
    """
    name = "preferences of pairs"
    if run.result["oracle"] == "dataset":
        return unknown(name, "they came with the data")
    if oracle is None:
        return unknown(name, "the oracle's settings cannot be read")
    if not isinstance(oracle, Scoring):
        return unknown(name, "the oracle gives no scores")
    # The noise is drawn in the order of annotation, which is the order in pairs/ only if nothing was reallocated.
    in_order = all(plan is None or plan.allocation == "uniform" or plan.fallback for plan in run.plans)
    if (oracle.temperature or oracle.flip) and not in_order:
        return unknown(name, "they are noisy, and which pair was annotated when is not kept for this allocation")
    problems = []
    for number, (rows, _) in enumerate(run.pairs):
        scores = [[response["score"] for response in row["responses"]] for row in rows]
        verdicts = verdicts_of(np.array(scores, dtype=float).reshape(-1, 2))
        rng = numpy_stream(run.config["seed"], "annotate", number)
        drawn = draw_labels(verdicts, oracle.temperature, oracle.flip, rng)
        for row, label in zip(rows, drawn.tolist(), strict=True):
            expected = label if label in (0, 1) else None
            if row["chosen"] != expected:
                prompt = f"round {number}, prompt {row['prompt_id']}"
                problems.append(f"{prompt}: {row['chosen']}, the scores say {expected}")
    return none_of(name, problems, f"{len(run.all_pairs)} follow from scores and seed")


def scores(run: FinishedRun, parts: Mapping[str, Any], splits: Splits | None, problems: Sequence[str]) -> list[Check]:
    """Asks the judge for the scores of the final evaluation again, and the oracle for those of all pairs.

    Args:
        parts: "oracle" and "judge" of the run's configuration, each None if it cannot be read.
        splits: the data; None if they cannot be loaded.
        problems: of the configuration, a line each.
    """
    judged = [
        (row["prompt"], row[side], row[f"{side}_score"])
        for row in run.samples_of(run.result)
        for side in ("response", "label")
    ]
    annotated = [
        (pair["prompt"], response["text"].strip(), response["score"])
        for pair in run.all_pairs
        for response in pair["responses"]
    ]
    oracle, judge = parts["oracle"], parts["judge"]
    # An oracle that is the judge too loads its model once.
    judge = oracle if oracle == judge else judge
    checks = [_scored_again("scores of the judge", judge, splits, judged, problems)]
    if run.result["oracle"] != "dataset":
        checks.append(_scored_again("scores of the oracle", oracle, splits, annotated, problems))
    if run.result.get("proxy_score_mean") is not None:
        checks.append(_proxy_again(run, oracle, splits, problems))
    return checks


def _proxy_again(run: FinishedRun, oracle: Oracle | None, splits: Splits | None, problems: Sequence[str]) -> Check:
    """Scores the responses of the final evaluation with the oracle, and compares their mean."""
    name, samples = "proxy_score_mean", run.samples_of(run.result)
    asked = [(row["prompt"], row["response"]) for row in samples]
    again = _scores_now(oracle, splits, asked, problems)
    if isinstance(again, str):
        return unknown(name, again)
    reported, mean = run.result[name], float(np.mean(np.array(again, dtype=float)))
    differing = [] if close(reported, mean, TOLERANCE_OF_MODEL) else [f"{reported} in results.jsonl, {mean} now"]
    return none_of(name, differing, shown(mean))


def _scored_again(
    name: str, oracle: Oracle | None, splits: Splits | None, reported: Sequence[Scored], problems: Sequence[str]
) -> Check:
    """Scores texts again, and compares each score with the reported one."""
    again = _scores_now(oracle, splits, [(prompt, text) for prompt, text, _ in reported], problems)
    if oracle is None or isinstance(again, str):
        return unknown(name, str(again))
    tolerance = TOLERANCE if oracle.name == "gold" else TOLERANCE_OF_MODEL
    differing = [
        f"{score} of {text[:40]!r}, {now} now"
        for (_, text, score), now in zip(reported, again, strict=True)
        if now is not None and not close(score, now, tolerance)
    ]
    if strangers := again.count(None):
        differing.append(f"{strangers} texts belong to no prompt of the data")
    return none_of(name, differing, f"{len(reported)} of {oracle.name}")


def _scores_now(
    oracle: Oracle | None, splits: Splits | None, asked: Sequence[tuple[str, str]], problems: Sequence[str]
) -> list[float | None] | str:
    """The oracle's scores of (prompt, text) pairs, or why there are none. A paid oracle is not asked.

    Returns:
        A score each; None from the gold oracle for a prompt that is not of the data. Or the reason, as text.
    """
    if oracle is None:
        return few(line for line in problems if line.startswith(("oracle", "judge")))
    if not isinstance(oracle, Scoring):
        return f"{oracle.name} compares and gives none, and asking it again would cost something"
    if obstacles := oracle.problems():
        return few(obstacles)
    is_gold = oracle.name == "gold"
    if is_gold and splits is None:
        return "the data cannot be read"
    rows = {row.prompt: row for rows in (splits.named().values() if splits else ()) for row in rows}
    # The gold oracle scores by a row's hidden facts.
    known = [index for index, (prompt, _) in enumerate(asked) if prompt in rows or not is_gold]
    prompts = [Prompt(index, rows.get(asked[index][0], Row(asked[index][0], "")), (), ()) for index in known]
    try:
        oracle.load()
        comparer = Comparer(oracle, splits.world if splits else None)
        scores = comparer.scores(prompts, [asked[index][1] for index in known]).tolist()
    except (ConfigError, RunError, OSError) as error:
        return " ".join(str(error).split())
    by_index = dict(zip(known, scores, strict=True))
    return [by_index.get(index) for index in range(len(asked))]
