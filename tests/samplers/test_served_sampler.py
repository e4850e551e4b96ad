"""Sampling at servers agrees with sampling in this process."""

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chi2_contingency

from src.models.policy import Policy
from src.runtime.errors import RunError
from src.samplers.handover import run_label
from tests.samplers.at_servers import ENDS, PROMPTS, drawn, sampler
from tests.samplers.vllm_server import Content, StandIn, served
from tests.tiny import keys

pytestmark = pytest.mark.slow


def test_the_servers_greedy_responses_are_ours_token_for_token(policy: Policy, base: str, tmp_path: Path) -> None:
    """The mean of two members goes over as one adapter, ends are ours, and log-probs are of the model itself."""
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server, temperature=0.0)
        with one.serving(0):
            theirs = drawn(one, k=1)
    with policy.using(policy.mean()) as model:
        ours = one.settings.sample_scored(model, PROMPTS, keys(len(PROMPTS), 1), ENDS)
    assert [[ids for ids, _ in group] for group in theirs] == [[ids for ids, _ in group] for group in ours]
    for (_, logp), (_, other) in zip(sum(theirs, []), sum(ours, []), strict=True):
        assert logp == pytest.approx(other, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"temperature": 0.7, "top_k": 5}])
def test_the_same_distribution_as_in_process(policy: Policy, base: str, tmp_path: Path, changes: dict) -> None:
    count, prompt = 400, (2, 3, 4)
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server, max_new_tokens=2, concurrency=1, **changes)
        with one.serving(0):
            theirs = drawn(one, [prompt], count)[0]
    with policy.using(policy.mean()) as model:
        ours = one.settings.sample_scored(model, [prompt], keys(1, count, 1), ENDS)[0]
    tables = [Counter(ids[0] for ids, _ in side) for side in (theirs, ours)]
    often = [token for token in sorted(tables[0] | tables[1]) if tables[0][token] + tables[1][token] >= 10]
    rows = [[table[token] for token in often] + [count - sum(table[token] for token in often)] for table in tables]
    assert len(often) >= 3
    columns = [column for column in zip(*rows, strict=True) if sum(column)]
    assert chi2_contingency(list(zip(*columns, strict=True))).pvalue > 1e-3
    # Of the untempered policy, whatever was drawn from.
    scores = dict(ours)
    shared = [(logp, scores[ids]) for ids, logp in theirs if ids in scores]
    assert len(shared) > count / 4 and all(abs(one - other) < 1e-4 for one, other in shared)


def test_what_is_sent_says_all_that_shapes_a_response(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, key="sk-vllm")) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_API_KEY", "sk-vllm")
        one = sampler(policy, tmp_path, server, top_p=0.9)
        with one.serving(3):
            drawn(one)
    bodies = [body for path, body in server.requests if path == "/v1/completions"]
    assert sorted(body["prompt"] for body in bodies) == sorted(map(list, PROMPTS))
    assert len({body["seed"] for body in bodies}) == len(PROMPTS) and all(body["seed"] < 2**62 for body in bodies)
    shared = {key: value for key, value in bodies[0].items() if key not in ("prompt", "seed", "model")}
    assert shared == {
        "n": 2, "max_tokens": 6, "temperature": 1.0, "top_p": 0.9, "top_k": -1, "min_p": 0.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "logprobs": 0,
        "ignore_eos": True, "stop_token_ids": [1, 5], "return_token_ids": True,
    }  # fmt: skip
    [name] = {body["model"] for body in bodies}
    assert re.fullmatch(r"bpo-[0-9a-f]{12}-round-3-[0-9a-f]{12}", name) and server.loaded == [name]


@pytest.mark.slow
def test_seeds_and_so_responses_do_not_depend_on_who_answers(policy: Policy, base: str, tmp_path: Path) -> None:
    prompts = [(2 + i % 50, 3 + i % 7) for i in range(24)]
    found = []
    for count in (1, 3):
        with ExitStack() as stack:
            servers = [stack.enter_context(served(StandIn(base))) for _ in range(count)]
            one = sampler(policy, tmp_path, *servers, concurrency=2)
            with one.serving(0):
                found.append(drawn(one, prompts))
            assert all(server.prompts for server in servers)
            assert sum(len(server.prompts) for server in servers) == len(prompts)
    assert found[0] == found[1]
    assert len({ids for group in found[0] for ids, _ in group}) > len(prompts)


def test_a_round_leaves_nothing_behind(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server)
        with one.serving(0):
            assert len(server.adapters) == 1
        # A killed attempt leaves its adapter there; the next one puts its own in the place.
        with one.serving(1):
            pass
        for name in (one._handover.name, f"{run_label(tmp_path)}-round-0-of-other-weights"):
            server.adapters[name] = server.adapters.get("x")
        server.adapters["of-another-run"] = None
        with one.serving(1):
            assert server.adapters[one._handover.name] is not None
        assert list(server.adapters) == ["of-another-run"] and list(tmp_path.iterdir()) == []


def test_a_round_made_again_with_other_weights_samples_from_these(policy: Policy, base: str, tmp_path: Path) -> None:
    """`force=true` into the same folder, while the servers stay and remember what they have read."""
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server, temperature=0.0)
        for _ in range(2):
            with one.serving(0):
                theirs = drawn(one, k=1)
            with policy.using(policy.mean()) as model:
                ours = one.settings.sample_scored(model, PROMPTS, keys(len(PROMPTS), 1), ENDS)
            for (ids, logp), (expected, other) in zip(sum(theirs, []), sum(ours, []), strict=True):
                assert ids == expected and logp == pytest.approx(other, abs=1e-4)
            with torch.no_grad():  # other weights; the second time, those of before again
                next(iter(policy.trainable().values())).neg_()


def test_the_adapter_goes_where_the_servers_read(policy: Policy, base: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").symlink_to(tmp_path / "here")
    with served(StandIn(base)) as server:
        places = {"folder": str(tmp_path / "here"), "server_folder": str(tmp_path / "there")}
        one = sampler(policy, tmp_path / "run", server, **places)
        with one.serving(0):
            assert [path.name for path in (tmp_path / "here").iterdir()] == [one._handover._label]
        [path] = [body["lora_path"] for _, body in server.requests if body.get("lora_path")]
        assert path == str(tmp_path / "there" / one._handover._label)
        assert list((tmp_path / "here").iterdir()) == []
        other = sampler(policy, tmp_path, server, **places | {"server_folder": "/nowhere"})
        with pytest.raises(RunError, match=r"sampler\.folder, sampler\.server_folder"), other.serving(0):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["close", 503])
def test_a_lost_servers_prompts_go_to_the_others(policy: Policy, base: str, tmp_path: Path, trouble) -> None:
    said: list[str] = []
    prompts = [(2 + i,) for i in range(12)]
    with served(StandIn(base, behave=lambda number: trouble if number else None)) as bad, served(StandIn(base)) as good:
        one = sampler(policy, tmp_path, bad, good, warn=said.append, concurrency=2)
        heard: list[int] = []
        with one.serving(0):
            with policy.using(policy.mean()) as model:
                found = one.sample_scored(model, prompts, keys(len(prompts), 2), ENDS, lambda n: heard.append(n))
            again = drawn(one, prompts)
        assert sum(heard) == len(prompts) and found == again
        assert len(said) == 1 and f"{bad.url} is lost" in said[0]
        assert len(good.prompts) == 2 * len(prompts) - len(bad.prompts)
        # The next round tries it again.
        bad.behave = lambda number: None
        with one.serving(1):
            assert one._servers.lost == {} and drawn(one, prompts) != []


@pytest.mark.nightly
@pytest.mark.slow
def test_a_server_that_comes_back_without_its_adapter_is_given_it(policy: Policy, base: str, tmp_path: Path) -> None:
    troubles = {2: "restart", 5: "close", 7: "restart"}
    with served(StandIn(base)) as calm, served(StandIn(base, behave=troubles.get)) as server:
        found = []
        for place in (calm, server):
            # One request at a time: two restarts at once are one.
            one = sampler(policy, tmp_path, place, retries=5, concurrency=1)
            with one.serving(0):
                found.append(drawn(one, [(2 + i,) for i in range(12)]))
        assert found[0] == found[1]
        assert len(server.loaded) == 3 and set(server.loaded) == {one._handover.name}


def test_all_lost_is_one_message(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, behave=lambda number: "close" if number > 2 else None)) as server:
        one = sampler(policy, tmp_path, server, retries=1)
        with one.serving(0), pytest.raises(RunError, match="no server is left, with 3 of 4 prompts answered") as error:
            drawn(one)
    assert "the same command goes on" in str(error.value) and server.url in str(error.value)
    with pytest.raises(RunError, match="no server is left .*ConnectError"):
        sampler(policy, tmp_path, server).trial(PROMPTS, ENDS)


def test_no_prompts_ask_nobody(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server)
        with one.serving(0):
            assert drawn(one, []) == [] and server.prompts == []


def test_what_a_server_cannot_do_is_said_before_anything_starts(policy: Policy, base: str, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (
            {"runtime_lora": False},
            {},
            r"loads no adapters at run time .*; start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
        ),
        ({"base": "other/model"}, {}, f"serves other/model, and the policy's base is {base}"),
        ({}, {"model": "mine"}, "the policy's base is mine .*sampler.model=NAME.*; start it with"),
        ({"room": 31}, {}, "reads at most 31 tokens, and prompt and response may have 32"),
        ({"key": "sk-secret"}, {}, "answers 401"),
    ]
    for server_is, spec_is, text in cases:
        with served(StandIn(**({"base": base} | server_is))) as server:
            with pytest.raises(RunError, match=text) as error:
                sampler(policy, tmp_path, server, **spec_is).trial(PROMPTS, ENDS)
            assert server.url in str(error.value)
            assert server.loaded == []
    with served(StandIn(base, max_rank=3)) as server:
        with pytest.raises(RunError, match="no /models; expected"):
            sampler(policy, tmp_path, server, urls=[server.url.removesuffix("/v1")]).trial(PROMPTS, ENDS)
        text = "the adapter's rank is 4, and it takes less .*rank 4 is greater.*--max-lora-rank 8"
        with pytest.raises(RunError, match=text), sampler(policy, tmp_path, server).serving(0):
            pass
        assert list(tmp_path.iterdir()) == []


def test_a_key_stands_in_no_message(policy: Policy, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    with served(StandIn(base, key="other")) as server:
        with pytest.raises(RunError, match="401") as error:
            sampler(policy, tmp_path, server).trial(PROMPTS, ENDS)
        assert "secret" not in str(error.value) and "***" in str(error.value)
        monkeypatch.delenv("VLLM_API_KEY")
        with pytest.raises(RunError, match="401") as error:
            sampler(policy, tmp_path, server).trial(PROMPTS, ENDS)
        assert "another" not in str(error.value)


def test_an_answer_of_no_use_is_not_asked_for_again(base: str, policy: Policy, tmp_path: Path) -> None:
    class Other(StandIn):
        def _complete(self, body: dict[str, Any]) -> tuple[int, Content]:
            return super()._complete(body | {"return_token_ids": False})

    with served(Other(base)) as server:
        one = sampler(policy, tmp_path, server, concurrency=1, retries=3)
        with one.serving(0), pytest.raises(RunError, match="sends no token_ids"):
            drawn(one)
        assert len(server.prompts) == 1
