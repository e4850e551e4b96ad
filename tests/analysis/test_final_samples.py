"""The values of a final evaluation by prompt; tests of torn and missing files are in test_traces.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.final_samples import final_samples, readable, values_by_prompt
from analysis.runs import Run
from tests.analysis.made_runs import row


def run_of(folder: Path, samples: list[dict], prompts: int = 3, responses: int = 2) -> Run:
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return Run(str(folder), row(n_prompts=prompts, samples=responses), (), {}, folder)


def final(prompt: int, sample: int, outcome: float | None = 1.0, **changes: object) -> dict:
    return {
        "split": "test",
        "round": 1,
        "step": 64,
        "prompt_id": prompt,
        "sample": sample,
        "outcome": outcome,
    } | changes


SIX = [final(prompt, sample, prompt / 2) for prompt in range(3) for sample in range(2)]


def test_every_response_has_its_place(tmp_path: Path) -> None:
    sft = [one | {"round": -1, "step": 0, "outcome": 0.25} for one in SIX]
    values = values_by_prompt(run_of(tmp_path, sft + SIX), "outcome")
    assert values == {(prompt, sample): prompt / 2 for prompt in range(3) for sample in range(2)}


def test_a_missing_judgement_is_left_out(tmp_path: Path) -> None:
    values = values_by_prompt(run_of(tmp_path, [*SIX[:5], final(2, 1, None)]), "outcome")
    assert values is not None and len(values) == 5 and (2, 1) not in values
    assert values_by_prompt(run_of(tmp_path, SIX), "gold_score") == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400), "1", [1.0], True])
def test_what_is_no_number_is_left_out(tmp_path: Path, value: Any) -> None:
    values = values_by_prompt(run_of(tmp_path, [*SIX[:5], final(2, 1, value)]), "outcome")
    assert values is not None and len(values) == 5


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    assert values_by_prompt(run_of(tmp_path, [*SIX[:5], final(2, 1, 1)]), "outcome") == {
        (prompt, sample): 1.0 if prompt == 2 else prompt / 2 for prompt in range(3) for sample in range(2)
    }


@pytest.mark.parametrize(
    "samples",
    [SIX[:5], [*SIX[:5], SIX[0]], [*SIX[:5], final(2, None)], [*SIX[:5], final(2, 1, round=-1)], [],
     [*SIX[:5], final([1], 1)], [*SIX[:5], final(2, 1, step=32)]],
    ids=["one lacks", "one twice", "no sample", "one of the SFT policy", "empty", "odd id", "another step"],
)  # fmt: skip
def test_an_incomplete_evaluation_has_no_values(tmp_path: Path, samples: list[dict]) -> None:
    assert values_by_prompt(run_of(tmp_path, samples), "outcome") is None


def test_a_run_without_a_folder_has_none() -> None:
    run = Run("wandb", row(), (), {}, None)
    assert final_samples(run) == [] and values_by_prompt(run, "outcome") is None


@pytest.mark.parametrize("torn", [b"{", b"\xff", b"[" * 100_000, b"nothing"])
def test_torn_lines_are_left_out_of_many(torn: bytes) -> None:
    rows = [json.dumps({"i": i}).encode() for i in range(1000)]
    assert [found["i"] for found in readable([*rows[:500], torn, b"", b"[1]", *rows[500:]])] == list(range(1000))


def test_a_large_evaluation(tmp_path: Path) -> None:
    outcomes = np.random.default_rng(0).integers(0, 2, (5000, 4))
    samples = [final(prompt, sample, float(won)) for (prompt, sample), won in np.ndenumerate(outcomes)]
    values = values_by_prompt(run_of(tmp_path, samples, prompts=5000, responses=4), "outcome")
    assert values is not None and len(values) == 20_000 and sum(values.values()) == outcomes.sum()
