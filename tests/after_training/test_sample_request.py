"""Commands of src.sample: what is refused before a model is loaded."""

from pathlib import Path

import pytest

from src.after_training.sample_request import read_sample_request
from src.sample import main
from tests.after_training.problems import sample_problems
from tests.after_training.saved_runs import saved_run
from tests.commands import called


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["expected policy=PATH"]),
        ("policy={run},{run}", ["given twice"]),
        ("policy={run},/nowhere n=0", ["policy=/nowhere: no such folder", "n=0: expected a whole number"]),
        ("policy={run} k=1.5 temperature=-1", ["k=1.5: expected", "temperature=-1: expected a number of at least 0"]),
        ("policy={run} temperature=nan n=²", ["temperature=nan", "n=²"]),
        ("policy={run} prompt=x split=test n=3", ["there is a prompt already", "n=3: there is one prompt"]),
        ("policy={run} split=valid", ["did you mean validation?"]),
        ("policy={run} judge=gold promt=x", ["judge=gold: a key of src.train that means", "did you mean prompt"]),
        ("policy={run} json={run}", ["that is a folder"]),
        ("policy={run} experiment=smoke", ["experiment=smoke: a key of src.train that means nothing here"]),
        ("policy={run} base=/nowhere", ["base=/nowhere: no model there; expected a folder with config.json"]),
        ("policy={run} base={run}/policy", ["got no adapter and no run with a model.path", "leave it out"]),
        ("policy=sft base={run}/policy", ["got no adapter and no run with a model.path"]),
        (
            "policy={run} evaluate.prompts=3 evaluate.every=0 evaluate.temprature=1",
            [
                "evaluate.prompts=3: a key of src.train that means nothing here",
                "evaluate.every=0: a key of src.train that means nothing here",
                "evaluate.temprature=1: no such key; did you mean evaluate.temperature",
            ],
        ),
    ],
)
def test_every_problem_is_named(
    arguments: str, expected: list[str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.after_training.load_policy.load_model", lambda *_: pytest.fail("a model was loaded"))
    said = str(called(main, *arguments.format(run=run).split()))
    assert said.startswith("error: ")
    for text in expected:
        assert text in said


def test_a_given_prompt_is_answered_without_data(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}", "label": "b"}}\n')
    run = saved_run(tmp_path / "run", "data=files", f"data.path={tmp_path}")
    (tmp_path / "train.jsonl").unlink()
    assert read_sample_request([f"policy={run}", "prompt=hi"]).config.task.max_prompt_tokens == 512
    for needed in (["prompt=hi", f"policy={run},sft"], [f"policy={run}"]):
        assert any("train.jsonl: no such file" in line for line in sample_problems(*needed))
