"""The settings of a proxy, and when they are refused; tests/reward_fitting/test_proxy.py fits one."""

from pathlib import Path

import pytest

from src.cli.compose import compose_one, problems_of
from src.oracles.gold import GoldOracle
from src.oracles.proxy import ProxyOracle
from src.oracles.reward_model import RewardModelOracle
from src.reward_fitting.config import TAKEN
from tests.experiments import configured


def proxy(**changes: object) -> ProxyOracle:
    fields = {
        "annotator": GoldOracle(0.25, 0.0), "pairs": 100, "held_out_pairs": 50, "seed": 0, "steps": 8, "batch_size": 4,
        "learning_rate": 0.001, "input": "pair", "max_length": 96, "batch_tokens": 200, "device": "cpu",
        "temperature": 0.5, "flip": 0.1,
    }  # fmt: skip
    return ProxyOracle(**fields | changes)  # type: ignore[arg-type]


def test_the_fitted_model_is_an_oracle_with_the_proxys_noise() -> None:
    assert proxy().fitted(Path("folder")) == RewardModelOracle("folder", "pair", 96, 200, "cpu", 0.5, 0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pairs": 1}, "pairs=1: expected at least 2"),
        ({"held_out_pairs": 0}, "held_out_pairs=0: expected more than 0"),
        ({"steps": 0}, "steps=0: expected more than 0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected more than 0"),
        ({"seed": -1}, "seed=-1: expected 0 or more"),
        ({"input": "text"}, "input=text: expected pair or chat"),
        ({"flip": 0.5}, "flip=0.5"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        proxy(**changes)


def test_the_annotators_problems_are_the_proxys() -> None:
    assert proxy().problems() == []
    [line] = proxy(annotator=RewardModelOracle("/nowhere", "pair", 96, 200, "cpu", 0.0, 0.0)).problems()
    assert line.startswith("annotator: path=/nowhere: no reward model there")
    assert proxy(annotator=proxy()).problems() == [
        "annotator: a proxy is fitted to the labels of another oracle, not of a proxy"
    ]


@pytest.mark.slow
def test_without_a_gold_score_a_proxy_is_refused() -> None:
    said = (
        "oracle=proxy: the gold score labels the proxy's pairs, and only the embedded data has one; use data=embedded"
    )
    assert said in problems_of(["data=hub", "task=tldr", "oracle=proxy"])
    assert said in problems_of(["experiment=proxy", "data=hub", "task=tldr"])
    # The data's own pairs ask no oracle.
    assert said not in problems_of(["data=hub", "task=helpfulness", "oracle=proxy", "collect=dataset", "F=1"])


def test_no_proxy_is_a_judge() -> None:
    [line] = problems_of(["judge=proxy"])
    assert line.startswith("judge=proxy: no such judge")


@pytest.mark.nightly
def test_src_reward_refuses_a_proxy() -> None:
    [line] = compose_one(["oracle=proxy"], TAKEN).problems
    assert line == "oracle=proxy: src.reward fits a reward model itself; choose the oracle that labels its pairs"


@pytest.mark.parametrize(
    "method", [[], ["F=1"], ["F=T"], ["F=T", "reference=sft"], ["F=1", "reference=sft", "loss=ipo"]]
)
def test_every_method_can_have_a_proxy(method: list[str]) -> None:
    assert problems_of(["experiment=proxy", *method]) == []


def test_the_seed_is_that_of_the_sft_policy() -> None:
    for line, seed in (("seed=3", 0), ("model.sft.seed=3", 3), ("oracle.seed=5", 5)):
        config, _, _ = configured(Path("cache"), "oracle=proxy", line)
        assert isinstance(config.oracle, ProxyOracle) and config.oracle.seed == seed
