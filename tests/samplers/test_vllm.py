"""`sampler=vllm`: its settings, and whole runs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.cli.compose import problems_of
from src.runtime.errors import RunError
from src.runtime.signals import Stopped
from src.samplers.served_sampler import FIRST
from src.storage.rows import read_rows
from tests.experiments import built, left_behind
from tests.processes import in_processes
from tests.samplers.vllm_server import StandIn, served

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
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
    adapter = ["sampler=vllm", url, "sampler.handover=adapter"]
    assert any("model.lora is null" in line for line in problems_of(adapter))
    assert any("handover=both: expected auto, adapter, weights" in line for line in problems_of(
        ["sampler=vllm", url, "sampler.handover=both"]))  # fmt: skip
    assert problems_of(["sampler=vllm", url, "model=tiny_lora", "ensemble=3"]) == []
    [line] = problems_of([*adapter, "model=tiny_lora", "model.lora.rank=103", "ensemble=5"])
    assert "one adapter of rank 515" in line and "at most 512" in line
    assert problems_of(["sampler=vllm", url, "model=tiny_lora", "model.lora.rank=256", "ensemble=2"]) == []
    [line] = problems_of(
        ["sampler=vllm", url, "model=tiny_lora", "F=1", "collect=dataset", "data=hub", "task=helpfulness"]
    )
    assert "collect=dataset samples nothing" in line


# Whole runs.

# Prompts of a server in the trial before SFT, and in the first batch of a round.
TRIED = FIRST

RUN = ("model=tiny_lora", "ensemble=2", "F=2", "evaluate.every=0", "model.sft.steps=4")


@pytest.fixture(scope="module")
def lora_base(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> str:
    return built(tmp_path_factory.mktemp("for-its-base"), cache, *RUN).policy.base


def by_servers(*servers: StandIn, retries: int = 0) -> list[str]:
    urls = ",".join(server.url for server in servers)
    return ["sampler=vllm", f"sampler.urls=[{urls}]", f"sampler.retries={retries}", "sampler.concurrency=4"]


@pytest.mark.slow
def test_a_run_sampled_by_servers(tmp_path: Path, cache: Path, lora_base: str, capsys) -> None:
    with served(StandIn(lora_base)) as one, served(StandIn(lora_base)) as other:
        built(tmp_path / "run", cache, *RUN, *by_servers(one, other)).run()
        assert one.adapters == other.adapters == {} and len(one.loaded) == len(set(one.loaded)) == 3
    assert one.prompts and other.prompts
    rows, final = read_rows(tmp_path / "run" / "metrics.jsonl"), read_rows(tmp_path / "run" / "results.jsonl")[-1]
    assert [row["step"] for row in rows if "sampler/logp_difference" in row] == [0, 2]
    assert all(0 < row["sampler/logp_difference"] < 1e-4 for row in rows if "sampler/logp_difference" in row)
    asked = len(one.prompts + other.prompts) - 2 * TRIED
    assert final["annotated_pairs"] == 16 and final["generated_responses"] == 2 * asked
    assert not (tmp_path / "run" / ".handover").exists() and "differ" not in capsys.readouterr().out
    # What was learned from are prompts that the servers have read, token by token.
    for number in range(2):
        for row in read_rows(tmp_path / "run" / "pairs" / f"round_{number:03d}.jsonl"):
            assert row["prompt_ids"] in one.prompts + other.prompts


@pytest.mark.nightly
@pytest.mark.slow
def test_of_several_processes_one_asks_the_servers(tmp_path: Path, cache: Path, lora_base: str) -> None:
    asked = []
    for count, name in ((1, "one"), (2, "several")):
        with served(StandIn(lora_base)) as server:
            in_processes(count, lambda *lines: built(*lines).run(), tmp_path / name, cache, *RUN, *by_servers(server))
            asked.append(sorted(map(tuple, server.prompts)))
            assert server.adapters == {} and len(server.loaded) == 3
    assert asked[0] == asked[1]
    ours, theirs = (left_behind(tmp_path / name)["pairs"].keys() for name in ("one", "several"))
    assert ours == theirs


@pytest.mark.slow
def test_servers_are_tried_before_sft_is_trained(tmp_path: Path, lora_base: str, cache: Path) -> None:
    """One message for all that a server lacks; the base model is made, as a server has to serve it, and no SFT."""
    wrong = StandIn("other/model", runtime_lora=False, room=9, version="0.9.1")
    with served(wrong) as server, pytest.raises(RunError) as error:
        built(tmp_path / "run", tmp_path / "cache", *RUN, *by_servers(server))
    for text in ("serves other/model", "reads at most 9 tokens", "vLLM 0.9.1", "loads no adapters", "start it with"):
        assert text in str(error.value)
    made = {folder.name.split("-")[0] for folder in (tmp_path / "cache").iterdir() if folder.is_dir()}
    assert "base" in made and "sft" not in made
    for server_is, text in (
        ({"max_rank": 4}, "the adapter's rank is 32, and it takes less"),
        ({"enable_lora": False}, "it was started without --enable-lora"),
        ({"shift": 0.2}, "2.0e-01: with the same random changes .* another model is served under the base's name"),
    ):
        with served(StandIn(lora_base, **server_is)) as server, pytest.raises(RunError, match=text):
            built(tmp_path / "run", cache, *RUN, *by_servers(server))
        assert not (tmp_path / "run" / ".handover").exists() and server.adapters == {}


@pytest.mark.nightly
@pytest.mark.slow
def test_other_log_probs_are_warned_of_or_end_the_run(tmp_path: Path, cache: Path, lora_base: str, capsys) -> None:
    with served(StandIn(lora_base)) as server:
        run = built(tmp_path / "run", cache, *RUN, "F=1", *by_servers(server))
        assert re.search("1 of 1 servers are ready; the mean of 2 members goes over as an adapter of rank 32; their "
                         "log-probs are within .e-0[678] nats", capsys.readouterr().out)  # fmt: skip
        server.shift = 7e-4
        run.run()
        rows, said = read_rows(tmp_path / "run" / "metrics.jsonl"), capsys.readouterr().out
        assert rows[0]["sampler/logp_difference"] == pytest.approx(7e-4, rel=0.1)
        assert "that is how far the log-probs of the round's first responses are" in said
        server.shift = 0.0
        other = built(tmp_path / "other", cache, *RUN, "F=1", *by_servers(server))
        server.shift, before = 0.1, len(server.prompts)
        with pytest.raises(RunError, match="None of them was annotated or kept. In order of likelihood: the server"):
            other.run()
        # Only the first responses were asked for, and nothing of them is used by the next attempt.
        assert len(server.prompts) == before + 4 and list((tmp_path / "other" / "pairs").glob("*")) == []
        assert server.adapters == {}
    # They are the metric's alone.
    pairs = read_rows(tmp_path / "run" / "pairs" / "round_000.jsonl")
    assert pairs and all(
        response["logps"]["behavior"] == response["logps"]["sft"] for row in pairs for response in row["responses"]
    )
    [problem] = problems_of([*RUN, *by_servers(server), "reference.from_sampling=true"])
    assert "another engine" in problem


@pytest.mark.nightly
def test_all_lost_in_a_run_that_goes_on_with_another_server(tmp_path: Path, cache: Path, lora_base: str) -> None:
    """Twice: in the first round, before there is a checkpoint, and in the second."""
    with served(StandIn(lora_base)) as whole:
        built(tmp_path / "whole", cache, *RUN, *by_servers(whole)).run()
    for number, lasts in enumerate((TRIED + 5, len(whole.prompts) - 3)):
        folder = tmp_path / f"run{number}"
        dying = StandIn(lora_base, behave=lambda n, lasts=lasts: "close" if n >= lasts else None)
        with served(dying), pytest.raises(RunError, match="no server is left, with"):
            built(folder, cache, *RUN, *by_servers(dying)).run()
        with served(StandIn(lora_base)) as server:
            built(folder, cache, *RUN, *by_servers(server)).run()
        # Answers that came before the servers were lost are kept. The second attempt tries its server where the first
        # left no checkpoint.
        tried = TRIED if number == 0 else 0
        assert len(dying.prompts) == lasts and len(server.prompts) == len(whole.prompts) - lasts + tried
        ours, theirs = left_behind(folder), left_behind(tmp_path / "whole")
        assert ours["policy"] == theirs["policy"] and ours["results"] == theirs["results"]
        assert ours["pairs"].keys() == theirs["pairs"].keys()


@pytest.mark.slow
def test_a_run_is_not_bound_to_its_sampler(tmp_path: Path, cache: Path, lora_base: str) -> None:
    """Where servers are lost for good, the same run goes on in process."""
    dying = StandIn(lora_base, behave=lambda n: "close" if n > TRIED + 5 else None)
    with served(dying), pytest.raises(RunError, match="no server is left"):
        built(tmp_path / "run", cache, *RUN, *by_servers(dying)).run()
    built(tmp_path / "run", cache, *RUN).run()
    assert read_rows(tmp_path / "run" / "results.jsonl")[-1]["annotated_pairs"] == 16


@pytest.mark.parametrize("deaf", [False, True])
def test_sigterm_does_not_wait_for_a_server(tmp_path: Path, cache: Path, lora_base: str, deaf: bool) -> None:
    from src.runtime import signals

    stopped_at = []

    def behave(number: int) -> str | None:
        if number < TRIED:
            return None
        if not stopped_at:
            stopped_at.append(time.monotonic())
            server.deaf = deaf
            os.kill(os.getpid(), signal.SIGTERM)
        return "hang"

    with served(StandIn(lora_base, behave=behave)) as server, signals.listening():
        run = built(tmp_path / "run", cache, *RUN, *by_servers(server))
        with pytest.raises(Stopped):
            run.run()
        # A server that answers is told good-bye.
        assert time.monotonic() - stopped_at[0] < 2 if deaf else server.adapters == {}


@pytest.mark.nightly
def test_killed_while_sampling_and_gone_on(tmp_path: Path, cache: Path, lora_base: str) -> None:
    def start(*servers: StandIn) -> subprocess.Popen[str]:
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "NO_PROXY": "*"}
        return subprocess.Popen(
            [sys.executable, "-m", "src.train", "experiment=smoke", f"cache={cache}", *RUN, *by_servers(*servers),
             "hydra.run.dir=run"],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    with served(StandIn(lora_base, behave=lambda number: "hang" if number >= TRIED + 5 else None)) as server:
        process = start(server)
        while len(server.prompts) < TRIED + 5:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert server.adapters and (tmp_path / "run" / ".handover").is_dir()
        server.behave = lambda number: None
        process = start(server)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output
        assert server.adapters == {} and not (tmp_path / "run" / ".handover").exists()
    with served(StandIn(lora_base)) as other:
        built(tmp_path / "whole", cache, *RUN, *by_servers(other)).run()
    ours, theirs = left_behind(tmp_path / "run"), left_behind(tmp_path / "whole")
    for part in ("policy", "results", "samples"):
        assert ours[part] == theirs[part], part
