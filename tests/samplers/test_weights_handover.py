"""Merged weights at servers: any ensemble, any model, and no answer of other weights."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from src.cli.compose import problems_of
from src.models.policy import Policy
from src.runtime.errors import RunError
from src.samplers.served_sampler import ServedSampler
from tests.samplers.at_servers import ENDS, PROMPTS, SPEC, drawn, sampler
from tests.samplers.vllm_server import StandIn, served
from tests.tiny import keys, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def whole(base: str) -> Policy:
    """A policy whose every weight is trained, and has been."""
    policy = Policy(tiny_model(), tiny_tokenizer(), base=base, lora=None)
    policy.perturb(0, 0.3)
    return policy


def as_here(one: ServedSampler, policy: Policy) -> None:
    """Greedy responses of the servers are the policy's, token for token, with its log-probs."""
    theirs = drawn(one, k=1)
    with policy.using(policy.mean()) as model:
        ours = one.settings.sample_scored(model, PROMPTS, keys(len(PROMPTS), 1), ENDS)
    for (ids, logp), (expected, other) in zip(sum(theirs, []), sum(ours, []), strict=True):
        assert ids == expected and logp == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("which", ["policy", "whole"])
def test_round_after_round_the_servers_have_the_policys_weights(
    which: str, request: pytest.FixtureRequest, base: str, tmp_path: Path
) -> None:
    policy = request.getfixturevalue(which)
    with served(StandIn(base, dev_mode=True)) as server:
        one = sampler(policy, tmp_path, server, handover="weights", temperature=0.0)
        for number in range(2):
            with one.serving(number):
                as_here(one, policy)
            with torch.no_grad():  # other weights under the same name, for prompts that the server has read
                next(iter(policy.trainable().values())).neg_()
        assert list(tmp_path.iterdir()) == [] and not server.paused and len(server.loaded) == 2


@pytest.mark.nightly
@pytest.mark.slow
def test_a_server_that_comes_back_with_its_own_weights_is_given_the_policys(
    policy: Policy, base: str, tmp_path: Path
) -> None:
    """It knows the name in the request, so it would answer."""
    with served(StandIn(base, dev_mode=True)) as calm:
        expected = restarted(policy, tmp_path, calm)
    with served(StandIn(base, dev_mode=True, behave={2: "restart", 5: "close", 7: "restart"}.get)) as server:
        assert restarted(policy, tmp_path, server) == expected
        assert len(server.loaded) == 3


def restarted(policy: Policy, run: Path, server: StandIn) -> list:
    one = sampler(policy, run, server, handover="weights", retries=5, concurrency=1)
    with one.serving(0):
        return drawn(one, [(2 + i,) for i in range(12)])


def test_a_server_that_another_run_takes_is_not_taken_back(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, dev_mode=True)) as server:
        ours = sampler(policy, tmp_path / "ours", server, handover="weights", retries=5)
        theirs = sampler(policy, tmp_path / "theirs", server, handover="weights")
        with ours.serving(0), pytest.raises(RunError, match="another run has given it its weights"):
            with theirs.serving(0):
                pass
            drawn(ours)


def test_an_adapter_is_not_put_on_another_runs_weights(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, dev_mode=True)) as server:
        ours = sampler(policy, tmp_path / "ours", server, retries=5)
        theirs = sampler(policy, tmp_path / "theirs", server, handover="weights")
        text = "has put its weights in place of the base's"
        with ours.serving(0), pytest.raises(RunError, match=text):
            drawn(ours)
            with theirs.serving(0):
                pass
            drawn(ours, seed=1)
        with pytest.raises(RunError, match=text):
            ours.trial(PROMPTS, ENDS)


def test_what_a_server_lacks_is_said(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, room=31)) as server:
        text = (
            "reads at most 31 tokens.*; it takes no weights .*VLLM_SERVER_DEV_MODE=1.*; start it with VLLM_SERVER_DEV"
        )
        with pytest.raises(RunError, match=text):
            sampler(policy, tmp_path, server, handover="weights").trial(PROMPTS, ENDS)
    with served(StandIn(base, dev_mode=True)) as server:
        (tmp_path / "here").mkdir()
        apart = {"folder": str(tmp_path / "here"), "server_folder": "/nowhere"}
        with pytest.raises(RunError, match=r"cannot load the weights in /nowhere/bpo-.*sampler\.server_folder"):
            sampler(policy, tmp_path, server, handover="weights", **apart).trial(PROMPTS, ENDS)
        assert not server.paused and server.weights == "default"


def test_auto_takes_an_adapter_where_vllm_does(policy: Policy, whole: Policy) -> None:
    def chosen(members: int, rank: int, handover: str = "auto") -> str:
        shape: Any = SimpleNamespace(members=members, lora=SimpleNamespace(rank=rank))
        return replace(SPEC, handover=handover).chosen_handover(shape)

    assert chosen(2, 256) == "adapter" and chosen(5, 256) == "weights" and chosen(1, 513) == "weights"
    assert chosen(1, 8, "weights") == "weights"
    assert SPEC.chosen_handover(whole) == "weights" and SPEC.chosen_handover(policy) == "adapter"


@pytest.mark.slow
def test_the_papers_setting_composes() -> None:
    url = "sampler.urls=[http://h:1/v1]"
    assert problems_of(["sampler=vllm", url, "model=gemma_2b", "ensemble=5", "task=tldr", "data=hub",
                        "oracle=embedding", "judge=embedding"]) == []  # fmt: skip
    assert problems_of(["sampler=vllm", url, "model=tiny"]) == []
