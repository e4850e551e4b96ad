"""sampler=vllm against a stand-in server: token ids as sampled, the policy's distribution, and what may go wrong."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chi2_contingency

from src.cli.compose import problems_of
from src.collection.round import logp_difference
from src.inference.sampler import Sampler
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.oracles.endpoint import Trouble
from src.records import Comparison, Response
from src.runtime.errors import RunError
from src.runtime.signals import Stopped
from src.samplers.completions import SamplingRequest, check_models, read_responses
from src.samplers.dispatch import answers_of
from src.samplers.served_sampler import ServedSampler
from src.samplers.servers import Servers
from src.samplers.vllm import VllmSpec
from src.storage.files import read_rows
from tests.experiments import built, left_behind
from tests.processes import in_processes
from tests.samplers.vllm_server import StandIn, served
from tests.tiny import numbered_prompts, tiny_model, tiny_tokenizer

ROOT = Path(__file__).parents[2]
LORA = LoraSpec(rank=2, alpha=8, dropout=0.0, targets="all-linear")
ENDS = frozenset({1, 5})
PROMPTS = [(2, 3, 4), (7,), (9, 8, 7, 6, 10), (11, 12)]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("VLLM_API_KEY", raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    tiny_model().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def policy(base: str) -> Policy:
    """Two members that are far from the base and from each other."""
    policy = Policy(tiny_model(), tiny_tokenizer(), base=base, lora=LORA, members=2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return policy


SPEC = VllmSpec(
    urls=["http://127.0.0.1:9/v1"], model=None, folder=None, server_folder=None, api_key_env="VLLM_API_KEY",
    concurrency=4, timeout=120.0, retries=0, warn_above=0.05,
)  # fmt: skip


def sampler(policy: Policy, run: Path, *servers: StandIn, warn: Callable[[str], None] = print, **changes: Any):
    spec = replace(SPEC, urls=[server.url for server in servers])
    own = {key: changes.pop(key) for key in list(changes) if key in ("temperature", "top_k", "top_p", "max_new_tokens")}
    settings = Sampler(**({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 6} | own), rows=8, longest=0)
    return ServedSampler(replace(spec, **changes), policy, settings, 32, run, warn)


def drawn(one: ServedSampler, prompts=PROMPTS, k: int = 2, seed: int = 0) -> list[list[tuple[tuple[int, ...], float]]]:
    return one.sample_scored(one.policy.model, prompts, k, ENDS, torch.Generator().manual_seed(seed))


def test_the_servers_greedy_responses_are_ours_token_for_token(policy: Policy, base: str, tmp_path: Path) -> None:
    """The mean of two members goes over as one adapter, ends are ours, and log-probs are of the model itself."""
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server, temperature=0.0)
        with one.serving(0):
            theirs = drawn(one, k=1)
    with policy.using(policy.mean()) as model:
        ours = one.settings.sample_scored(model, PROMPTS, 1, ENDS, torch.Generator())
    assert [[ids for ids, _ in group] for group in theirs] == [[ids for ids, _ in group] for group in ours]
    for (_, logp), (_, other) in zip(sum(theirs, []), sum(ours, []), strict=True):
        assert logp == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.7, "top_k": 5}])
def test_the_same_distribution_as_in_process(policy: Policy, base: str, tmp_path: Path, changes: dict) -> None:
    count, prompt = 400, (2, 3, 4)
    with served(StandIn(base)) as server:
        one = sampler(policy, tmp_path, server, max_new_tokens=2, concurrency=1, **changes)
        with one.serving(0):
            theirs = drawn(one, [prompt], count)[0]
    with policy.using(policy.mean()) as model:
        ours = one.settings.sample_scored(model, [prompt], count, ENDS, torch.Generator().manual_seed(1))[0]
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
    assert name.endswith("-round-3") and server.loaded == [name]


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
        server.adapters[one._name] = server.adapters.get("x")
        with one.serving(1):
            assert server.adapters[one._name] is not None
        assert server.adapters == {} and list(tmp_path.iterdir()) == []


def test_the_adapter_goes_where_the_servers_read(policy: Policy, base: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").symlink_to(tmp_path / "here")
    with served(StandIn(base)) as server:
        places = {"folder": str(tmp_path / "here"), "server_folder": str(tmp_path / "there")}
        one = sampler(policy, tmp_path / "run", server, **places)
        with one.serving(0):
            assert [path.name for path in (tmp_path / "here").iterdir()] == [one._name]
        [path] = [body["lora_path"] for _, body in server.requests if body.get("lora_path")]
        assert path == str(tmp_path / "there" / one._name)
        assert list((tmp_path / "here").iterdir()) == []
        other = sampler(policy, tmp_path, server, **places | {"server_folder": "/nowhere"})
        with pytest.raises(RunError, match=r"sampler\.folder, sampler\.server_folder"), other.serving(0):
            pass


@pytest.mark.parametrize("trouble", ["close", 503])
def test_a_lost_servers_prompts_go_to_the_others(policy: Policy, base: str, tmp_path: Path, trouble) -> None:
    said: list[str] = []
    prompts = [(2 + i,) for i in range(12)]
    with served(StandIn(base, behave=lambda number: trouble if number else None)) as bad, served(StandIn(base)) as good:
        one = sampler(policy, tmp_path, bad, good, warn=said.append, concurrency=2)
        heard: list[int] = []
        with one.serving(0):
            found = one.sample_scored(
                policy.model, prompts, 2, ENDS, torch.Generator().manual_seed(0), lambda n: heard.append(n)
            )
            again = drawn(one, prompts)
        assert sum(heard) == len(prompts) and found == again
        assert len(said) == 1 and f"{bad.url} is lost" in said[0]
        assert len(good.prompts) == 2 * len(prompts) - len(bad.prompts)
        # The next round tries it again.
        bad.behave = lambda number: None
        with one.serving(1):
            assert one._servers.lost == {} and drawn(one, prompts) != []


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
        assert len(server.loaded) == 3 and set(server.loaded) == {one._name}


def test_all_lost_is_one_message(policy: Policy, base: str, tmp_path: Path) -> None:
    with served(StandIn(base, behave=lambda number: "close" if number > 2 else None)) as server:
        one = sampler(policy, tmp_path, server, retries=1)
        with one.serving(0), pytest.raises(RunError, match="no server is left, with 3 of 4 prompts answered") as error:
            drawn(one)
    assert "the same command goes on" in str(error.value) and server.url in str(error.value)
    with pytest.raises(RunError, match="no server is left .*ConnectError"):
        sampler(policy, tmp_path, server).check()


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
            "loads no adapters at run time; start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
        ),
        ({"base": "other/model"}, {}, f"serves other/model, and the policy's base is {base}"),
        ({}, {"model": "mine"}, "the policy's base is mine; start it with .* or give .* sampler.model=NAME"),
        ({"room": 31}, {}, "reads at most 31 tokens, and prompt and response may have 32"),
        ({"key": "sk-secret"}, {}, "answers 401"),
    ]
    for server_is, spec_is, text in cases:
        with served(StandIn(**({"base": base} | server_is))) as server:
            with pytest.raises(RunError, match=text) as error:
                sampler(policy, tmp_path, server, **spec_is).check()
            assert server.url in str(error.value)
            assert server.loaded == []
    with served(StandIn(base, max_rank=3)) as server:
        with pytest.raises(RunError, match="no /models; expected"):
            sampler(policy, tmp_path, server, urls=[server.url.removesuffix("/v1")]).check()
        text = "rank 4 is greater.*the adapter's rank is 4.*--max-lora-rank 8"
        with pytest.raises(RunError, match=text), sampler(policy, tmp_path, server).serving(0):
            pass
        assert list(tmp_path.iterdir()) == []


def test_a_key_stands_in_no_message(policy: Policy, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    with served(StandIn(base, key="other")) as server:
        with pytest.raises(RunError, match="401") as error:
            sampler(policy, tmp_path, server).check()
        assert "secret" not in str(error.value) and "***" in str(error.value)
        monkeypatch.delenv("VLLM_API_KEY")
        with pytest.raises(RunError, match="401") as error:
            sampler(policy, tmp_path, server).check()
        assert "another" not in str(error.value)


def completion(*choices: dict[str, Any]) -> str:
    whole = [
        {"index": place, "token_ids": [3, 1], "logprobs": {"token_logprobs": [-1.0, -2.0]}} | choice
        for place, choice in enumerate(choices)
    ]
    return json.dumps({"choices": whole})


def test_what_a_response_has_to_be() -> None:
    two = SamplingRequest((2, 3), 2, 0)
    cut = {"token_ids": [5, 4, 4], "logprobs": {"token_logprobs": [0, -1, -1]}}
    assert read_responses(completion({}, cut), two, {1}, 3) == [((3, 1), -3.0), ((5, 4, 4), -2.0)]
    for body, text in (
        ("<html>", "Expecting value"),
        ("[]", "it begins with"),
        (completion({}), "1 responses, and 2"),
        (completion({}, {"token_ids": None}), "vLLM 0.10.2"),
        (completion({}, {"logprobs": None}), "vLLM 0.10.2"),
        (completion({}, {"prompt_token_ids": [2]}), "another prompt"),
        (completion({}, {"token_ids": [1, 3]}), "passed its end"),
        (completion({}, {"token_ids": [1, 1]}), "passed its end"),
        (completion({}, {"token_ids": [], "logprobs": {"token_logprobs": []}}), "0 tokens"),
        (completion({}, {"token_ids": [3, 4]}), "stops before its end"),
        (completion({}, {"token_ids": [3]}), "1 tokens with 2 log-probs"),
        (completion({}, {"token_ids": ["3", 1]}), "2 tokens with 2"),
        (completion({}, {"logprobs": {"token_logprobs": [-1.0, float("nan")]}}), "log-probability of nan"),
        (completion({}, {"logprobs": {"token_logprobs": [None, -1.0]}}), "it begins with"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            read_responses(body, two, {1}, 3)
    with pytest.raises(ValueError, match="limit of 2"):
        read_responses(
            completion({"token_ids": [3, 3, 1], "logprobs": {"token_logprobs": [0, 0, 0]}}),
            SamplingRequest((2,), 1, 0),
            {1},
            2,
        )


@pytest.mark.parametrize("body", ["", "[]", '{"data": [1]}', '{"data": [{}]}', "null"])
def test_models_that_are_none(body: str) -> None:
    with pytest.raises(Trouble, match="expected a vLLM server"):
        check_models(body, "base", 1, "start it")


def test_an_answer_of_no_use_is_not_asked_for_again(base: str, policy: Policy, tmp_path: Path) -> None:
    class Other(StandIn):
        def _complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            return super()._complete(body | {"return_token_ids": False})

    with served(Other(base)) as server:
        one = sampler(policy, tmp_path, server, concurrency=1, retries=3)
        with one.serving(0), pytest.raises(RunError, match="sends no token_ids"):
            drawn(one)
        assert len(server.prompts) == 1


def test_the_mean_difference_a_token() -> None:
    [prompt] = numbered_prompts(1)

    def pair(*sides: tuple[int, float | None, float]) -> Comparison:
        first, second = (Response(tuple(range(length)), "", logp) for length, logp, _ in sides)
        scored = (sides[0][2], sides[1][2])
        return Comparison(prompt, (first, second), None, 0, {"behavior": scored, "reference": (9.0, 9.0)})

    assert logp_difference([pair((4, -3.0, -2.0), (6, -5.0, -5.5)), pair((10, -1.0, -1.0), (0, 0.0, 0.0))]) == 1.5 / 20
    assert logp_difference([pair((4, None, -2.0), (6, None, -5.0))]) is None
    assert logp_difference([]) is None


def test_the_settings_are_checked() -> None:
    found = problems_of(["sampler=vllm", "model=tiny"])
    assert any("urls: none given; add sampler.urls=" in line for line in found)
    found = problems_of(
        ["sampler=vllm", "sampler.urls=[localhost:8000,http://a:b@c/v1]", "sampler.concurrency=0", "sampler.retries=-1",
         "sampler.timeout=0", "sampler.warn_above=0", "sampler.server_folder=x", "sampler.api_key_env='sk-1'"]
    )  # fmt: skip
    for text in (
        "urls: number [0, 1]",
        "concurrency=0",
        "retries=-1",
        "timeout=0",
        "warn_above=0",
        "server_folder",
        "api_key_env",
    ):
        assert any(text in line for line in found), text
    assert not any("sk-1" in line or "a:b@c" in line for line in found)
    url = "sampler.urls=[http://h:1/v1]"
    assert any("model.lora is null" in line for line in problems_of(["sampler=vllm", url]))
    assert problems_of(["sampler=vllm", url, "model=tiny_lora", "ensemble=3"]) == []
    [line] = problems_of(
        ["sampler=vllm", url, "model=tiny_lora", "F=1", "collect=dataset", "data=hub", "task=helpfulness"]
    )
    assert "collect=dataset samples nothing" in line


# Whole runs.

RUN = ("model=tiny_lora", "ensemble=2", "F=2", "evaluate.every=0", "model.sft.steps=4")


@pytest.fixture(scope="module")
def lora_base(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> str:
    return built(tmp_path_factory.mktemp("for-its-base"), cache, *RUN).policy.base


def by_servers(*servers: StandIn, retries: int = 0) -> list[str]:
    urls = ",".join(server.url for server in servers)
    return ["sampler=vllm", f"sampler.urls=[{urls}]", f"sampler.retries={retries}", "sampler.concurrency=4"]


def test_a_run_sampled_by_servers(tmp_path: Path, cache: Path, lora_base: str, capsys) -> None:
    with served(StandIn(lora_base)) as one, served(StandIn(lora_base)) as other:
        built(tmp_path / "run", cache, *RUN, *by_servers(one, other)).run()
        assert one.adapters == other.adapters == {} and len(one.loaded) == len(set(one.loaded)) == 2
    assert one.prompts and other.prompts
    rows, final = read_rows(tmp_path / "run" / "metrics.jsonl"), read_rows(tmp_path / "run" / "results.jsonl")[-1]
    assert [row["step"] for row in rows if "sampler/logp_difference" in row] == [0, 2]
    assert all(0 < row["sampler/logp_difference"] < 1e-4 for row in rows if "sampler/logp_difference" in row)
    assert final["annotated_pairs"] == 16 and final["generated_responses"] == 2 * len(one.prompts + other.prompts)
    assert not (tmp_path / "run" / ".adapter").exists() and "differ" not in capsys.readouterr().out
    # What was learned from are prompts that the servers have read, token by token.
    for number in range(2):
        for row in read_rows(tmp_path / "run" / "pairs" / f"round_{number:03d}.jsonl"):
            assert row["prompt_ids"] in one.prompts + other.prompts


def test_of_several_processes_one_asks_the_servers(tmp_path: Path, cache: Path, lora_base: str) -> None:
    asked = []
    for count, name in ((1, "one"), (2, "several")):
        with served(StandIn(lora_base)) as server:
            in_processes(count, lambda *lines: built(*lines).run(), tmp_path / name, cache, *RUN, *by_servers(server))
            asked.append(sorted(map(tuple, server.prompts)))
            assert server.adapters == {} and len(server.loaded) == 2
    assert asked[0] == asked[1]
    ours, theirs = (left_behind(tmp_path / name)["pairs"].keys() for name in ("one", "several"))
    assert ours == theirs


def test_other_log_probs_are_warned_of(tmp_path: Path, cache: Path, lora_base: str, capsys) -> None:
    with served(StandIn(lora_base, shift=0.1)) as server:
        run = built(tmp_path / "run", cache, *RUN, "F=1", *by_servers(server))
        run.run()
        rows = read_rows(tmp_path / "run" / "metrics.jsonl")
        assert rows[0]["sampler/logp_difference"] == pytest.approx(0.1, abs=1e-3)
        assert "log-probs differ from the scorer's by 1.0e-01 nats a token" in capsys.readouterr().out
    # They are the metric's alone.
    pairs = read_rows(tmp_path / "run" / "pairs" / "round_000.jsonl")
    assert pairs and all(
        response["logps"]["behavior"] == response["logps"]["sft"] for row in pairs for response in row["responses"]
    )
    [problem] = problems_of([*RUN, *by_servers(server), "reference.from_sampling=true"])
    assert "another engine" in problem


def test_all_lost_in_a_run_that_goes_on_with_another_server(tmp_path: Path, cache: Path, lora_base: str) -> None:
    """Twice: in the first round, before there is a checkpoint, and in the second."""
    with served(StandIn(lora_base)) as whole:
        built(tmp_path / "whole", cache, *RUN, *by_servers(whole)).run()
    for number, lasts in enumerate((3, len(whole.prompts) - 3)):
        folder = tmp_path / f"run{number}"
        dying = StandIn(lora_base, behave=lambda n, lasts=lasts: "close" if n >= lasts else None)
        with served(dying), pytest.raises(RunError, match="no server is left, with"):
            built(folder, cache, *RUN, *by_servers(dying)).run()
        with served(StandIn(lora_base)) as server:
            built(folder, cache, *RUN, *by_servers(server)).run()
        ours, theirs = left_behind(folder), left_behind(tmp_path / "whole")
        assert ours["policy"] == theirs["policy"] and ours["results"] == theirs["results"]
        assert ours["pairs"].keys() == theirs["pairs"].keys()


def test_a_run_is_not_bound_to_its_sampler(tmp_path: Path, cache: Path, lora_base: str) -> None:
    """Where servers are lost for good, the same run goes on in process."""
    dying = StandIn(lora_base, behave=lambda n: "close" if n > 9 else None)
    with served(dying), pytest.raises(RunError, match="no server is left"):
        built(tmp_path / "run", cache, *RUN, *by_servers(dying)).run()
    built(tmp_path / "run", cache, *RUN).run()
    assert read_rows(tmp_path / "run" / "results.jsonl")[-1]["annotated_pairs"] == 16


def test_ctrl_c_does_not_wait_for_a_server(tmp_path: Path, cache: Path, lora_base: str) -> None:
    from src.runtime import signals

    def behave(number: int) -> str:
        os.kill(os.getpid(), signal.SIGTERM) if number == 0 else None
        return "hang"

    with served(StandIn(lora_base, behave=behave)) as server, signals.listening():
        run = built(tmp_path / "run", cache, *RUN, *by_servers(server))
        with pytest.raises(Stopped):
            run.run()
        assert server.adapters == {}  # it was told good-bye


@pytest.mark.nightly
def test_killed_while_sampling_and_gone_on(tmp_path: Path, cache: Path, lora_base: str) -> None:
    def start(*servers: StandIn) -> subprocess.Popen[str]:
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "NO_PROXY": "*"}
        return subprocess.Popen(
            [sys.executable, "-m", "src.train", "experiment=smoke", f"cache={cache}", *RUN, *by_servers(*servers),
             "hydra.run.dir=run"],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    with served(StandIn(lora_base, behave=lambda number: "hang" if number >= 5 else None)) as server:
        process = start(server)
        while len(server.prompts) < 5:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert server.adapters and (tmp_path / "run" / ".adapter").is_dir()
        server.behave = lambda number: None
        process = start(server)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output
        assert server.adapters == {} and not (tmp_path / "run" / ".adapter").exists()
    with served(StandIn(lora_base)) as other:
        built(tmp_path / "whole", cache, *RUN, *by_servers(other)).run()
    ours, theirs = left_behind(tmp_path / "run"), left_behind(tmp_path / "whole")
    for part in ("policy", "results", "samples"):
        assert ours[part] == theirs[part], part


# The servers by themselves.


def of_two(timeout: float = 60.0, retries: int = 0) -> tuple[Servers, list[str]]:
    said: list[str] = []
    return Servers(["http://a/v1", "http://b/v1"], "k", 2, timeout, retries, said.append), said


async def nothing(client: Any) -> None:
    """Is always ready."""


def test_servers_that_were_lost_are_asked_again_in_the_next_round() -> None:
    calls: list[str] = []

    async def ready(client: Any) -> None:
        calls.append(str(client.base_url))
        if len(calls) == 1:
            raise Trouble("not yet", again=True)

    servers, said = of_two()
    servers.make_ready(ready)
    assert servers.lost == {"http://a/v1": "not yet"} and "http://a/v1 is lost: not yet" in said[0]
    servers.make_ready(ready)
    assert servers.lost == {} and len(calls) == 4


def test_a_server_that_does_not_answer_is_not_waited_for_longer_than_the_timeout() -> None:
    async def ask(client: Any, question: int) -> int:
        if "//a/" in str(client.base_url):
            await asyncio.sleep(600)
        return question**2

    servers, said = of_two(timeout=3.0)
    heard: list[int] = []
    assert answers_of(servers, range(9), ask, nothing, heard.append) == [number**2 for number in range(9)]
    assert heard == [1] * 9 and list(servers.lost) == ["http://a/v1"] and "no answer within 3 s" in said[0]


def test_what_all_servers_refuse_stands_in_one_message() -> None:
    async def ready(client: Any) -> None:
        raise Trouble("wrong model", again=False)

    with pytest.raises(RunError, match="http://a/v1: wrong model; http://b/v1: wrong model"):
        of_two()[0].make_ready(ready)
