"""Asking policies: they say what their evaluation said, of one base model, with the same luck."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.after_training.ask import ask
from src.after_training.sample_request import read_sample_request
from src.runtime.errors import RunError
from src.runtime.report import Report
from src.sample import main
from src.storage.rows import read_rows
from tests.after_training.saved_runs import ROWS
from tests.commands import called


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0", "evaluate.temperature=0", "evaluate.samples=1")


@pytest.fixture(scope="module")
def other_words(finished_run: Callable[..., Path]) -> Path:
    return finished_run("words", "model.scratch.vocab_size=400")


def evaluated(run: Path, round: int) -> dict[str, str]:
    return {one["prompt"]: one["response"] for one in read_rows(run / "samples.jsonl") if one["round"] == round}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "lora"])
def test_greedy_says_what_the_final_evaluation_said(name: str, cache: Path, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    sayings = ask(read_sample_request([f"policy={folder},sft", "split=test", "n=12"]), Report())
    said = {policy: {one.prompt: one.responses[policy][0] for one in sayings} for policy in (folder.name, "sft")}
    assert said[folder.name] == evaluated(folder, 1) and said["sft"] == evaluated(folder, -1)
    assert said[folder.name] != said["sft"]
    assert [one.label for one in sayings] == [row.label for row in ROWS.test or []]


def test_a_prompt_as_typed(run: Path) -> None:
    text = "  What, {exactly}, is ${this} 'a=b'? [bold]  "
    question = read_sample_request([f"policy={run}", f"prompt={text}", "k=3", "temperature=1"])
    [saying] = ask(question, Report())
    assert saying.prompt == text.strip() and saying.label is None and len(saying.responses["F=2,seed=0"]) == 3


@pytest.mark.slow
def test_policies_of_different_bases_are_refused(run: Path, lora: Path, other_words: Path, cache: Path) -> None:
    with pytest.raises(RunError, match="has another tokenizer than .* so it is of another base model"):
        ask(read_sample_request([f"policy={run},{other_words}"]), Report())
    said = str(called(main, f"policy={run},sft,{lora}"))
    assert said.startswith("error: ") and "is an adapter for" in said and "of different bases" in said


def test_a_prompt_that_is_too_long_and_a_split_that_is_not_there(run: Path) -> None:
    assert "no prompt has at most task.max_prompt_tokens" in str(
        called(main, f"policy={run}", "prompt=" + "many " * 500)
    )
