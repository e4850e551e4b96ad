"""The rows that an evaluation after training writes: one for the result, one for every response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from src.after_training.evaluate_request import EvaluateRequest
from src.data.splits import Splits
from src.oracles.answers import Ledger
from src.oracles.model_name import is_same_oracle
from src.records import Prompt, Tally
from src.run_folder.folder import SCHEMA_VERSION
from src.run_folder.identity import build_folder, git_sha
from src.storage.rows import append_rows
from src.storage.run_name import config_hash


@dataclass(frozen=True)
class Side:
    """The responses of one side.

    Attributes:
        texts: N of them.
        tokens: their lengths in tokens, (N,); None without a tokenizer.
    """

    texts: list[str]
    tokens: np.ndarray | None

    @property
    def words(self) -> np.ndarray:
        """Lengths in words, (N,)."""
        return np.array([len(text.split()) for text in self.texts])


def comparable_lengths(system: Side, opponent: Side) -> tuple[str, np.ndarray, np.ndarray]:
    """The lengths of both sides in one unit: tokens if both sides have them, else words.

    Returns:
        "tokens" or "words", and the lengths of each side, (N,).
    """
    if system.tokens is not None and opponent.tokens is not None:
        return "tokens", system.tokens, opponent.tokens
    return "words", system.words, opponent.words


def result_row(
    request: EvaluateRequest,
    splits: Splits,
    split: str,
    figures: Mapping[str, Any],
    system: Side,
    opponent: Side,
) -> dict[str, Any]:
    """The fields of a row in a run's results.jsonl, and of this command's own: both names, lengths in words.

    Args:
        figures: win rates and the rest of what the judge said, from `src.evaluation.judged`.
    """
    return {
        **_identity(request, splits),
        "split": split,
        **figures,
        "response_tokens_mean": _mean(system.tokens),
        "label_tokens_mean": _mean(opponent.tokens),
        # These need the SFT policy and the oracle, which are not loaded here.
        "kl_sft": None,
        "proxy_score_mean": None,
        "system": request.system,
        "against": request.opponent,
        "length_unit": comparable_lengths(system, opponent)[0],
        "response_words_mean": _mean(system.words),
        "label_words_mean": _mean(opponent.words),
    }


def sample_rows(
    prompts: Sequence[Prompt],
    samples: int,
    system: Side,
    opponent: Side,
    columns: Sequence[Mapping[str, Any]],
    against_labels: bool,
) -> list[dict[str, Any]]:
    """A row for each response, as in a run's samples.jsonl; "against" is the text of an opponent other than the label.

    Args:
        prompts: of the responses, each `samples` times; N.
        columns: scores and outcome of each response, from `src.evaluation.judged`.
    """
    rows = []
    for index, (prompt, verdict) in enumerate(zip(prompts, columns, strict=True)):
        row = {
            "prompt_id": prompt.id,
            "sample": index % samples,
            "prompt": prompt.row.prompt,
            "response": system.texts[index],
            "label": prompt.row.label,
            "response_tokens": None if system.tokens is None else int(system.tokens[index]),
            "label_tokens": None if opponent.tokens is None else int(opponent.tokens[index]),
            **verdict,
        }
        if not against_labels:
            row |= {
                "against": opponent.texts[index],
                "against_score": verdict["label_score"],
                "against_gold_score": verdict["label_gold_score"],
                "label_score": None,
                "label_gold_score": None,
            }
        rows.append(row)
    return rows


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Appends a row to a file that other processes may append to at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        append_rows(path, [row])


def _identity(request: EvaluateRequest, splits: Splits) -> dict[str, Any]:
    """What was evaluated: the facts of the policy's run, or every field of a row with None where nothing is known."""
    config = request.config
    known = {
        "schema_version": SCHEMA_VERSION,
        "git_sha": git_sha(),
        "task": config.task.name,
        "judge": config.judge.name,
        "seed": config.seed,
        "data_fingerprint": splits.fingerprint(),
        # The SFT policy is not loaded here.
        "sft_fingerprint": None,
    }
    if request.saved and request.saved.run:
        facts = request.saved.facts()
        return {
            **facts,
            **known,
            "config_hash": config_hash(request.plain),
            "data": request.choices.get("data", facts.get("data")),
            "judge_is_oracle": is_same_oracle(config.judge.name, facts.get("oracle")),
            "temperature": config.evaluate.temperature,
        }
    spent = [*vars(Tally()), *(f"{role}_{name}" for role in ("oracle", "judge") for name in Ledger().totals())]
    run_fields = build_folder(config, request.plain, request.choices, Path()).identity
    fields = ("schema_version", *run_fields, "round", "step", *spent, "seconds")
    policy: dict[str, Any] = {}
    if not request.responses:
        policy = {"temperature": config.evaluate.temperature, "model": Path(request.base).name}
        if request.saved is None:
            policy |= {"model": config.model.name, "ensemble": config.ensemble}
    return dict.fromkeys(fields) | known | {"data": request.choices["data"]} | policy


def _mean(lengths: np.ndarray | None) -> float | None:
    return None if lengths is None else float(lengths.mean())
