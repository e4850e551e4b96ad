"""The rows of results.jsonl: which keys they have, and whether they are those of a finished run."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

SCHEMA_VERSION = 2
TEXTS = (
    "run_id", "config_hash", "task", "data", "model", "loss", "reference", "allocation", "oracle", "judge", "split",
)  # fmt: skip
# Keys that a row may lack.
OPTIONAL_TEXTS = ("data_fingerprint", "sft_fingerprint")
OPTIONAL_NUMBERS = ("proxy_score_mean",)
OPTIONAL_COUNTS = ("fallback_rounds",)
COUNTS = (
    "F", "T", "batch_size", "ensemble", "seed", "step", "n_prompts", "samples", "wins", "ties", "losses", "n_invalid",
    "annotated_pairs",
)  # fmt: skip
AT_LEAST_ONE = ("n_prompts", "samples", "F", "T", "ensemble")
# The share of responses that win, the ends of its interval, and its bounds whatever the missing judgements are.
SHARES = (
    "win_rate", "win_rate_low", "win_rate_high", "win_rate_lowest", "win_rate_highest", "win_rate_length_controlled",
)  # fmt: skip
# Numbers, or null: without a usable judgement, without scores, with one prompt, without a gold score.
NULLABLE = (
    *SHARES, "win_rate_se", "win_rate_length_controlled_se", "judge_score_mean", "gold_score_mean", "gold_score_se",
    "label_gold_score_mean",
)  # fmt: skip
NUMBERS = ("temperature", "response_tokens_mean", "label_tokens_mean", "kl_sft", "seconds")
IDENTITY = (*TEXTS[:-1], "F", "T", "batch_size", "ensemble", "seed", "temperature", "judge_is_oracle")
# Largest difference between a win rate and its counts.
ROUNDING = 1e-6


def row_problem(rows: Sequence[Any]) -> str | None:
    """Why the rows of results.jsonl are not those of a finished run; None if they are."""
    for row in rows:
        if not isinstance(row, dict) or not {"schema_version", "run_id", "win_rate"} & row.keys():
            return "results.jsonl holds something else than result rows of this project"
        if row.get("schema_version") != SCHEMA_VERSION or type(row["schema_version"]) is not int:
            found = row.get("schema_version", "missing")
            return f"schema_version is {found}, and this analysis reads {SCHEMA_VERSION}; run it again"
        if wrong := _wrong_values(row):
            return f"a row of results.jsonl is not one of this project's: {', '.join(wrong)}"
    changed = [key for key in IDENTITY if any(row[key] != rows[-1][key] for row in rows)]
    changed += [key for key in OPTIONAL_TEXTS if len({row[key] for row in rows if key in row}) > 1]
    if changed:
        return f"results.jsonl holds rows of several runs: they differ in {', '.join(changed)}"
    if rows[-1]["step"] != rows[-1]["T"]:
        return f"unfinished: step {rows[-1]['step']} of {rows[-1]['T']}; the same command goes on"
    if rows[-1]["win_rate"] is None:
        return (
            f"unusable: the judge gave no usable verdict on any of {rows[-1]['n_invalid']} responses, so there is no "
            "win rate"
        )
    if sum(row["step"] == row["T"] for row in rows) > 1:
        return "results.jsonl holds two final rows; force=true runs it again"
    return None


def _wrong_values(row: Mapping[str, Any]) -> list[str]:
    """The keys of a row that are missing or impossible, each with its value."""
    wrong = [f"{key} is {row.get(key)!r}" for key in TEXTS if type(row.get(key)) is not str]
    wrong += [f"{key} is {row.get(key)!r}" for key in COUNTS if type(row.get(key)) is not int or row[key] < 0]
    wrong += [
        f"{key} is {row[key]!r}"
        for key in OPTIONAL_COUNTS
        if key in row and (type(row[key]) is not int or row[key] < 0)
    ]
    wrong += [f"{key} is {row.get(key)!r}" for key in NUMBERS if not _is_finite(row.get(key))]
    wrong += [f"{key} is {row.get(key)!r}" for key in NULLABLE if not _is_finite_or_null(row, key)]
    wrong += [f"{key} is {row[key]!r}" for key in OPTIONAL_TEXTS if key in row and type(row[key]) is not str]
    wrong += [f"{key} is {row[key]!r}" for key in OPTIONAL_NUMBERS if key in row and not _is_finite_or_null(row, key)]
    wrong += [f"round is {row.get('round')!r}"] * (type(row.get("round")) is not int)
    wrong += [f"judge_is_oracle is {row.get('judge_is_oracle')!r}"] * (type(row.get("judge_is_oracle")) is not bool)
    return wrong or _wrong_sums(row)


def _wrong_sums(row: Mapping[str, Any]) -> list[str]:
    """The same for a row whose values are all of the right type."""
    judged = row["wins"] + row["ties"] + row["losses"]
    if (row["win_rate"] is None) != (judged == 0):
        return [f"win_rate is {row['win_rate']}, and the judge gave a usable verdict on {judged} responses"]
    controlled, why = row["win_rate_length_controlled"], row.get("length_controlled_why")
    if controlled is None and judged and not isinstance(why, str):
        return [f"win_rate_length_controlled is None without a reason: length_controlled_why is {why!r}"]
    if controlled is not None and not judged:
        return [f"win_rate_length_controlled is {controlled}, and the judge gave no usable verdict"]
    wrong = [f"{key} is {row[key]}" for key in SHARES if row[key] is not None and not 0 <= row[key] <= 1]
    wrong += [f"{key} is {row[key]}" for key in AT_LEAST_ONE if row[key] < 1]
    for low, high in (("win_rate_low", "win_rate_high"), ("win_rate_lowest", "win_rate_highest")):
        ends = [row[key] for key in (low, "win_rate", high) if row[key] is not None]
        if any(lower > higher + ROUNDING for lower, higher in zip(ends, ends[1:], strict=False)):
            wrong.append(f"win_rate is {row['win_rate']}, outside of {low}={row[low]} and {high}={row[high]}")
    if judged + row["n_invalid"] != row["n_prompts"] * row["samples"]:
        wrong.append(
            "wins, ties, losses and n_invalid do not add up to "
            f"n_prompts={row['n_prompts']} times samples={row['samples']}"
        )
    elif judged and abs((row["wins"] + row["ties"] / 2) / judged - row["win_rate"]) > ROUNDING:
        wrong.append(f"win_rate is {row['win_rate']}, and its wins and ties say otherwise")
    return wrong


def _is_finite_or_null(row: Mapping[str, Any], key: str) -> bool:
    return key in row and (row[key] is None or _is_finite(row[key]))


def _is_finite(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))
