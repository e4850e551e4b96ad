"""The configuration of src.reward: every problem is named before anything is done."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.cli.compose import compose_one
from src.cli.taken import TRAIN
from src.reward_fitting.config import TAKEN, pairs_as_list, run_problems
from tests.classifiers import save_classifier
from tests.reward_fitting.runs import comparison, run_folder

pytestmark = pytest.mark.slow


def problems_of_reward(*arguments: str) -> list[str]:
    return list(compose_one(arguments, TAKEN).problems)


@pytest.mark.slow
def test_pairs_of_a_run_on_another_task_or_model_are_refused(tmp_path: Path, cache: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    more = "task: {name: helpfulness}\nmodel: {name: gemma_2b, path: null}\noracle: {temperature: 0.25}\n"
    (run / "config.yaml").write_text(more)
    found = problems_of_reward(f"pairs={run}")
    assert [line.split(": ", 1)[1] for line in found] == [
        "of a run with task=helpfulness, and task=tldr here; type task=helpfulness",
        "of a run with model=gemma_2b, and model=tiny here; type model=gemma_2b, or reward.path=",
    ]
    model = save_classifier(tmp_path / "classifier", "bert")
    assert problems_of_reward(f"pairs={run}", "task=helpfulness", f"reward.path={model}") == []


@pytest.mark.slow
def test_the_oracle_of_pairs_that_are_annotated_may_be_any(tmp_path: Path, cache: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(number) for number in range(8)]])
    broken = "oracle=reward_model", "oracle.path=/nowhere"
    assert any("/nowhere" in line for line in problems_of_reward(*broken))
    assert problems_of_reward(f"pairs={run}", *broken) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("reward.stepz=4", "reward.stepz=4: no such key; did you mean reward.steps"),
        ("steps=4", "steps=4: no such key"),
        ("reward.steps=0", "reward.steps=0: expected more than 0"),
        ("reward.held_out=1.5", "reward.held_out=1.5: expected a share"),
        ("reward.input=text", "reward.input=text: expected pair or chat"),
        ("reward.path=/nowhere", "reward.path=/nowhere: no model there"),
        ("pairs=/nowhere", "pairs=/nowhere: no pairs of a run there"),
        ("pairs=[/nowhere,tests]", "pairs=tests: no pairs of a run there"),
        ("pairs=3", "pairs=3: expected text or a list of values or null"),
        ("out=src", "out=src: there is something else there"),
        ("out=README.md", "out=README.md: there is something else there"),
        ("out=", "out= is empty; expected a folder"),
        ("orcle=gold", "orcle=gold: no such key; did you mean oracle"),
        ("seed=0,1", "seed=0,1: one value only"),
    ],
)
def test_every_problem_is_named(arguments: str, expected: str) -> None:
    found = problems_of_reward(*arguments.split())
    assert any(expected in line for line in found), found


def test_all_problems_stand_in_one_message() -> None:
    assert len(problems_of_reward("reward.steps=0", "pairs=/nowhere", "F=0", "nokey=3")) == 4


@pytest.mark.parametrize(
    "line", ["loss=ipo", "F=2", "sampler=vllm", "optimizer.schedule=constant", "T=3", "judge=gold"]
)
def test_keys_that_would_do_nothing_are_refused(line: str) -> None:
    [problem] = problems_of_reward(line)
    assert problem.startswith(f"{line}: a key of src.train that means nothing here")


def test_the_keys_are_no_keys_of_train() -> None:
    [problem] = compose_one(["reward.steps=4"], TRAIN).problems
    assert "reward.steps=4: no such key" in problem


@pytest.mark.slow
def test_folders_with_commas_and_equal_signs_make_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/F=2,seed=0", "outputs/F=2", "plain"):
        Path(name).mkdir(parents=True)
    cases = {
        "pairs=plain": ["plain"],
        "pairs=outputs/F=2,seed=0": ["outputs/F=2,seed=0"],
        "pairs=outputs/F=2,seed=0,plain,outputs/F=2": ["outputs/F=2,seed=0", "plain", "outputs/F=2"],
        "pairs=nowhere,plain": ["nowhere", "plain"],
    }
    for typed, expected in cases.items():
        key, _, value = pairs_as_list(typed).partition("=")
        assert key == "pairs" and json.loads(value) == expected
        job = compose_one([pairs_as_list(typed)], replace(TAKEN, problems_in=lambda plain: []))
        assert job.problems == () and job.plain["pairs"] == expected
    for untouched in ("pairs=[a,b]", "pairs=null", "pairs='a,b'", "seed=1", "pairs=", "--help"):
        assert pairs_as_list(untouched) == untouched


def test_what_is_no_run_is_found_at_once(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(0)]])
    (tmp_path / "empty" / "pairs").mkdir(parents=True)
    (tmp_path / "empty" / "config.yaml").write_text("")
    found = run_problems([run, tmp_path / "nowhere", tmp_path / "empty"])
    assert len(found) == 2 and "nowhere: no pairs of a run there" in found[0] and "empty: no pairs" in found[1]
