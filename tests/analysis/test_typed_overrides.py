"""The command for a missing run makes a run that is comparable: every setting of the others is in it."""

import shlex
from pathlib import Path

import pytest

from analysis.typed_overrides import other_overrides
from src.cli.compose import compose_jobs


def flat(node: dict, path: str = "") -> dict:
    parts = [
        flat(value, f"{path}{key}.") if isinstance(value, dict) and value else {f"{path}{key}": value}
        for key, value in node.items()
    ]
    return {key: value for part in parts for key, value in part.items()}


def composed(*words: str) -> dict:
    [job], problems = compose_jobs(words)
    assert problems == [] and job.problems == (), (problems, job.problems)
    return job.plain


@pytest.mark.parametrize(
    "line",
    [
        "",
        "evaluate.every=8 evaluate.prompts=100 optimizer.weight_decay=0.1 learning_rate=2e-4",
        "model=tiny_lora ensemble=2 model.lora.rank=4 model.lora.targets=[q_proj,v_proj] model.learning_rate=3e-3",
        "loss=ipo loss.beta=0.3 task.max_new_tokens=20 collect.temperature=0.9",
        "oracle.temperature=0.5 oracle.flip=0.1 data.train=100 model.sft.steps=9 model.sft.seed=4",
        "experiment=smoke",
        "experiment=bpo_f4 T=16 checkpoint_every=3",
    ],
)
def test_typed_again_the_settings_are_the_same(line: str) -> None:
    plain = composed(*line.split())
    words = other_overrides(flat(plain), same_loss=True, same_task=True, seeds_tied=False)
    # What the caller adds: the keys of the result row, the task, the loss and the method.
    rows = [f"{key}={plain[key]}" for key in ("T", "batch_size", "ensemble", "F")]
    names = [f"{group}={plain['choices'][group]}" for group in ("task", "loss", "model", "data")]
    again = composed(*rows, *names, *shlex.split(" ".join(words)))
    assert flat({**again, "choices": {}}) == flat({**plain, "choices": {}})


def test_only_what_differs_is_typed() -> None:
    assert other_overrides(flat(composed()), True, True, False) == []
    assert other_overrides(flat(composed("loss.beta=0.3")), True, True, False) == ["loss.beta=0.3"]
    assert other_overrides(flat(composed("loss.beta=0.3")), False, True, False) == []


def test_a_seed_that_the_sft_policy_shares_stays_shared() -> None:
    words = other_overrides(flat(composed("seed=3", "model.sft.seed=3")), True, True, seeds_tied=True)
    assert words == ["'model.sft.seed=${seed}'"]
    assert composed("seed=5", *shlex.split(" ".join(words)))["model"]["sft"]["seed"] == 5


def test_without_settings_there_is_nothing_to_type() -> None:
    assert other_overrides({}, True, True, True) == []


def test_the_yaml_files_are_those_of_the_program() -> None:
    from analysis.typed_overrides import CONF
    from src.cli import conf

    assert Path(CONF) == conf.CONF
