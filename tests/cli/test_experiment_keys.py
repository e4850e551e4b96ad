"""What an experiment sets for an option does not stand beside another option in its place."""

import json
from pathlib import Path

import pytest

from src.cli.compose import Job, compose_jobs
from tests.conf_files import FILES

pytestmark = pytest.mark.slow

EXPERIMENTS = sorted(name for group, name in FILES if group == "experiment")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"prompt": "{split}", "label": "b"}}\n')
    return tmp_path


def job(*words: str) -> Job:
    jobs, problems = compose_jobs(words)
    assert not problems
    return jobs[0]


@pytest.mark.parametrize(
    "case",
    ["smoke data files", "balanced_pilot allocation uniform", "paper_tldr judge embedding", "gold_ft reference sft"],
)
def test_another_option_than_the_experiments(case: str) -> None:
    refuses_other_keys([tuple(case.split())])


@pytest.mark.nightly
def test_every_option_beside_every_experiment() -> None:
    refuses_other_keys(
        [(one, *file) for one in EXPERIMENTS for file in FILES if file[0] not in ("experiment", "source")]
    )


def refuses_other_keys(cases: list[tuple[str, str, str]]) -> None:
    """No key that nobody typed is refused."""
    refused = {
        case: bad
        for case in cases
        if (bad := [line for line in _problems(*case) if "no such key" in line or "missing" in line])
    }
    assert not refused, json.dumps({str(case): lines for case, lines in refused.items()}, indent=1)


def _problems(experiment: str, group: str, name: str) -> list[str]:
    return list(job(f"experiment={experiment}", f"{group}={name}").problems)


@pytest.mark.parametrize(
    "words", [["data=files", "data.path={}"], ["data=hub", "data.path={}"], ["model=smollm2_135m"]]
)
def test_smoke_with_other_data_and_models(words: list[str], rows: Path) -> None:
    composed = job("experiment=smoke", *(word.format(rows) for word in words))
    assert composed.problems == ()
    assert composed.plain["T"] == 4 and composed.plain["model"]["sft"]["steps"] == 12, "what has a meaning stays"
    if "data=hub" in words:
        assert composed.plain["data"]["train"] == 64
    assert composed.plain["model"]["scratch"] is None or words != ["model=smollm2_135m"]


def test_smoke_itself_stays_what_it_was() -> None:
    plain = job("experiment=smoke").plain
    assert (plain["data"]["train"], plain["data"]["test"], plain["model"]["scratch"]["hidden"]) == (64, 12, 32)
    assert plain["evaluate"]["samples"] == 2 and plain["evaluate"]["temperature"] == 1.0


def test_what_is_typed_is_refused_all_the_same() -> None:
    assert job("experiment=smoke", "data=files", "data.train=7").problems[0].startswith("data.train=7: no such key")
    line = "model.scratch.layers=3: no such key; model.scratch is null here"
    assert line in job("experiment=smoke", "model=smollm2_135m", "model.scratch.layers=3").problems


def test_a_mistake_in_an_experiment_is_still_refused(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /allocation: balanced\ndata:\n  trian: 5\n  train: 64\n"
        "allocation:\n  mode: pilot\n"
    )
    typed = [f"--config-dir={tmp_path}", "experiment=mine", "allocation=uniform", "data=files", f"data.path={rows}"]
    composed = job(*typed)
    assert [line for line in composed.problems if "no such key" in line] == ["data.trian: no such key"]
    assert "mode" not in composed.plain["allocation"] and "train" not in composed.plain["data"]
