"""Every check differs where its number was changed, and no other check does."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.after_training.check import DIFFERS, UNKNOWN
from src.evaluate import main as evaluate
from src.storage.checksums import SUMS, write_sums
from src.storage.rows import read_rows
from tests.after_training.checks.changed import differing, rewritten, set_in, states
from tests.commands import called

SCORES = {"outcomes of samples", "scores of the judge", "judge_score_mean"}


def turned(score: str, sign: int) -> Callable[[list[dict[str, Any]]], object]:
    """Gives the last sample a score that turns its outcome."""
    return lambda rows: rows[-1].update({score: sign * (-99.0 if rows[-1]["outcome"] else 99.0)})


TAMPERED: dict[str, tuple[str, Callable[[list[dict[str, Any]]], object], set[str]]] = {
    "a better win rate": ("results.jsonl", set_in(-1, "win_rate", 0.9), {"win_rate"}),
    "an earlier row": ("results.jsonl", set_in(1, "ties", 7), {"ties"}),
    "wins": ("results.jsonl", set_in(-1, "wins", 12), {"wins"}),
    "losses": ("results.jsonl", set_in(-1, "losses", 0), {"losses"}),
    "invalid": ("results.jsonl", set_in(-1, "n_invalid", 1), {"n_invalid"}),
    "at equal length": (
        "results.jsonl", set_in(-1, "win_rate_length_controlled", 0.77), {"win_rate_length_controlled"},
    ),
    "distinct": ("results.jsonl", set_in(-1, "distinct_3", 0.5), {"distinct_3"}),
    "unique": ("results.jsonl", set_in(-1, "unique_rate", 0.5), {"unique_rate"}),
    "mean": ("results.jsonl", set_in(-1, "judge_score_mean", 4.0), {"judge_score_mean"}),
    "lengths": ("results.jsonl", set_in(-1, "response_tokens_mean", 3.0), {"response_tokens_mean"}),
    "label lengths": ("results.jsonl", set_in(-1, "label_tokens_mean", 3.0), {"label_tokens_mean"}),
    "another method": ("results.jsonl", set_in(-1, "loss", "ipo"), {"identity of the rows"}),
    "another seed": ("results.jsonl", set_in(-1, "seed", 5), {"identity of the rows"}),
    "a smaller budget": (
        "results.jsonl", set_in(-1, "annotated_pairs", 5),
        {"annotated_pairs", "annotated_pairs by round", "what the last round noted"},
    ),
    "fewer responses": (
        "results.jsonl", set_in(-1, "generated_responses", 5), {"generated_responses", "what the last round noted"},
    ),
    "ties of the oracle": (
        "results.jsonl", set_in(-1, "oracle_ties", 3), {"ties and unusable answers", "what the last round noted"},
    ),
    "a score": ("samples.jsonl", turned("response_score", 1), SCORES),
    "a label's score": (
        "samples.jsonl", turned("label_score", -1), {"outcomes of samples", "scores of the judge"},
    ),
    "an outcome": ("samples.jsonl", set_in(-1, "outcome", 0.5), {
        "ties", "win_rate", "win_rate_se", "win_rate_length_controlled", "outcomes of samples",
    }),
    "a prompt": ("samples.jsonl", set_in(-1, "prompt", "What?"), {
        "prompts and labels of samples", "scores of the judge"}),
    "a sample twice": ("samples.jsonl", lambda rows: rows.append(rows[-1]), {
        "judge_score_mean", "gold_score_mean", "distinct_3", "unique_rate",
    }),
    "a step": ("metrics.jsonl", lambda rows: rows.pop(1), {"steps in metrics.jsonl"}),
    "a preference": (
        "pairs/round_001.jsonl",
        lambda rows: rows[0].__setitem__("chosen", 1 - rows[0]["chosen"]),
        {"preferences of pairs"},
    ),
    "a pair": ("pairs/round_000.jsonl", lambda rows: rows.pop(), {
        "annotated_pairs", "annotated_pairs by round", "pairs of the plans", "preferences of pairs"}),
    "an oracle's score": (
        "pairs/round_000.jsonl",
        lambda rows: [one.update(score=one["score"] + 1e-3) for row in rows for one in row["responses"]],
        {"scores of the oracle"},
    ),
    "a text": ("pairs/round_000.jsonl", lambda rows: rows[0]["responses"][0].__setitem__("text", "a dog"), {
        "scores of the oracle"}),
    "a round": ("pairs/round_001.json", set_in(0, "resampled", 40), {"what the last round noted"}),
}  # fmt: skip


# They move by what the other rows say, too.
RATES = {
    "wins", "losses", "win_rate_low", "win_rate_high", "win_rate_lowest", "win_rate_highest",
    "win_rate_length_controlled_se",
}  # fmt: skip
MAY = {
    "an outcome": RATES,
    "a sample twice": RATES | {
        "ties", "win_rate", "win_rate_se", "win_rate_length_controlled", "response_tokens_mean", "label_tokens_mean",
        "gold_score_se", "label_gold_score_mean",
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_differs(name: str, copy: Path) -> None:
    file, change, expected = TAMPERED[name]
    rewritten(copy / file, change)
    assert "files" in differing(copy)
    write_sums(copy)  # as who changed it could have done
    found = differing(copy)
    assert expected <= found <= expected | MAY.get(name, set())


def test_another_configuration_differs(copy: Path) -> None:
    settings = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump(settings | {"seed": 1, "learning_rate": 0.5}))
    write_sums(copy)
    assert differing(copy) == {"config_hash", "identity of the rows", "preferences of pairs"}


def test_a_policy_that_is_not_the_saved_one_differs_and_is_not_used(copy: Path) -> None:
    weights = next((copy / "policy").glob("*.safetensors"))
    whole = bytearray(weights.read_bytes())
    whole[-5] ^= 1
    weights.write_bytes(whole)
    assert differing(copy) == {"files"}
    assert states(copy, rerun=True)["responses, sampled again"] == UNKNOWN
    said = str(called(evaluate, f"policy={copy}"))
    assert f"{weights} is damaged: its checksum is not that of {SUMS}" in said and "nothing was started" in said
    shutil.rmtree(copy / "policy")
    assert differing(copy) == {"files"}


def test_other_responses_of_the_policy_differ(copy: Path) -> None:
    other = read_rows(copy / "samples.jsonl")[-1]["label"]
    rewritten(copy / "samples.jsonl", set_in(-1, "response", other))
    assert states(copy, rerun=True)["responses, sampled again"] == DIFFERS
