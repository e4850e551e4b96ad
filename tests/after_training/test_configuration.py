"""A run's configuration with typed values and groups over it."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from src.after_training.evaluate_request import read_evaluate_request
from src.config import TaskSpec
from src.oracles.embedding import EmbeddingOracle
from tests.after_training.problems import evaluate_problems
from tests.after_training.saved_runs import saved_run, write_lines

pytestmark = pytest.mark.slow


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What judge=llm asks for before it asks anybody."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def test_groups_over_a_run(run: Path, tmp_path: Path, longest: None) -> None:
    """Other data bring their judge; another task the limits that go with the run's data; the rest is the run's."""
    for name in ("train", "validation"):
        write_lines(tmp_path / f"{name}.jsonl", [{"prompt": name, "label": "b"}])
    config = read_evaluate_request(
        [f"policy={run}", "data=files", f"data.path={tmp_path}", "judge.length_penalty=0.5"]
    ).config
    assert isinstance(config.judge, EmbeddingOracle) and config.judge.length_penalty == 0.5
    assert (config.task.max_prompt_tokens, config.task.max_new_tokens, config.model.rows) == (128, 12, 16)
    task = read_evaluate_request([f"policy={run}", "task=helpfulness"])
    assert task.config.task == TaskSpec("helpfulness", 128, 40, None) and task.choices == {"task": "helpfulness"}
    assert task.config.judge.name == "gold" and task.config.evaluate.temperature == 1.0


@pytest.mark.parametrize(
    ("made", "typed", "expected"),
    [
        ("task=helpfulness", "judge=llm", {"task.name": "helpfulness", "judge.task": "helpfulness"}),
        ("judge=llm", "task=helpfulness", {"task.name": "helpfulness", "judge.task": "helpfulness"}),
        ("judge=llm", "judge.task=helpfulness", {"task.name": "tldr", "judge.task": "helpfulness"}),
        (
            "task=helpfulness",
            "data=hub judge=llm",
            {"data.path": "Anthropic/hh-rlhf", "evaluate.prompts": 500, "evaluate.temperature": 1.0},
        ),
        ("task=helpfulness", "data=hub judge=llm data.path=a/b", {"data.path": "a/b", "data.layout": "dialogue"}),
        (
            "data=hub task=helpfulness judge=llm",
            "task=tldr",
            {
                "data.path": "trl-lib/tldr",
                "evaluate.prompts": 1000,
                "task.max_prompt_tokens": 512,
                "judge.task": "tldr",
            },
        ),
        ("data=hub source=paper_tldr judge=llm", "task=tldr", {"data.path": "CarperAI/openai_summarize_tldr"}),
        ("data=hub judge=llm", "source=paper_tldr", {"data.path": "CarperAI/openai_summarize_tldr"}),
        (
            "data=hub judge=llm evaluate.every=7",
            "source=paper_helpfulness task=helpfulness evaluate.temperature=0.5",
            {"data.layout": "columns", "evaluate.prompts": 500, "evaluate.every": 7, "evaluate.temperature": 0.5},
        ),
        (
            "task=helpfulness",
            "data=hub source=paper_helpfulness judge=llm",
            {"data.path": "HuggingFaceH4/helpful-anthropic-raw", "judge.task": "helpfulness"},
        ),
        ("data=hub judge=llm", "source=hub_tldr evaluate.prompts=7", {"evaluate.prompts": 7}),
    ],
)
def test_a_group_over_a_run_is_that_of_its_task(
    made: str, typed: str, expected: dict[str, object], tmp_path: Path, key: None
) -> None:
    request = read_evaluate_request([f"policy={saved_run(tmp_path / 'run', *made.split())}", *typed.split()])
    assert {path: OmegaConf.select(OmegaConf.create(request.plain), path) for path in expected} == expected


@pytest.mark.parametrize(
    ("made", "typed", "expected"),
    [
        ("judge=reward_model", "device=cpu", {"judge.device": "cpu", "oracle.temperature": 0.25}),
        ("", "judge=reward_model device=cpu", {"judge.device": "cpu"}),
        # A run on a device that is not here.
        ("device=cuda:99 judge=reward_model", "device=cpu", {"device": "cpu", "judge.device": "cpu"}),
        ("judge=reward_model judge.device=cpu", "device=auto", {"device": "auto", "judge.device": "cpu"}),
        ("", "judge=llm cache=there", {"judge.cache": "there/llm"}),
        ("judge=llm cache=here", "cache=there", {"judge.cache": "there/llm"}),
        ("judge=llm judge.cache=paid", "cache=there", {"judge.cache": "paid"}),
    ],
)
def test_typed_values_reach_what_is_made_from_them(
    made: str, typed: str, expected: dict[str, object], tmp_path: Path, key: None
) -> None:
    request = read_evaluate_request([f"policy={saved_run(tmp_path / 'run', *made.split())}", *typed.split()])
    assert {path: OmegaConf.select(OmegaConf.create(request.plain), path) for path in expected} == expected


@pytest.mark.parametrize(
    "made", ["", "judge=llm", "judge=reward_model device=cpu", "data=hub judge=llm", "model=tiny_lora"]
)
def test_nothing_typed_is_the_run_as_it_was(made: str, tmp_path: Path, key: None) -> None:
    run = saved_run(tmp_path / "run", *made.split())
    assert read_evaluate_request([f"policy={run}"]).plain == yaml.safe_load((run / "config.yaml").read_text())


def test_a_judge_of_an_earlier_version_gets_the_keys_that_are_new(tmp_path: Path, key: None) -> None:
    run = saved_run(tmp_path / "run", "judge=llm")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    retries = settings["judge"].pop("retries")
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    assert read_evaluate_request([f"policy={run}"]).plain["judge"]["retries"] == retries


def test_a_source_is_for_data_of_the_hub(tmp_path: Path) -> None:
    [line] = evaluate_problems(f"policy={saved_run(tmp_path / 'run')}", "source=hub_tldr")
    assert line.endswith("source=hub_tldr: only data=hub has a source; add data=hub, or leave source out")


def test_the_hub_has_no_set_for_a_task_of_ones_own(tmp_path: Path, key: None) -> None:
    run = saved_run(tmp_path / "run", "task.name=mine")
    [line] = evaluate_problems(f"policy={run}", "data=hub", "judge=llm", "judge.task=tldr")
    assert "data=hub: it has no set for task=mine; add source=NAME, one of hub_harmlessness" in line
    request = read_evaluate_request([f"policy={run}", "data=hub", "source=hub_tldr", "judge=llm", "judge.task=tldr"])
    assert request.plain["data"]["path"] == "trl-lib/tldr" and request.config.task.name == "mine"


def test_what_a_run_chose_from_a_folder_of_its_own_is_in_its_configuration(tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", "data.train=77")
    (run / "identity.json").write_text('{"data": "mine"}\n')
    assert read_evaluate_request([f"policy={run}"]).plain == yaml.safe_load((run / "config.yaml").read_text())
    assert read_evaluate_request([f"policy={run}", "task=helpfulness"]).plain["data"]["train"] == 77
