"""Several processes at one run: what one process gives, whatever the split; one that dies; another number of them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from src.inference.sampler import Sampler
from src.inference.shared_attention import install
from src.learning.gradients import sum_gradients
from src.learning.learner import Learner
from src.models import sharding
from src.oracles.gold import GoldOracle
from src.records import Ids
from src.run_folder.checkpoint import newest_step
from src.runtime import process_group, processes
from src.runtime.errors import RunError
from src.runtime.processes import Lost
from src.runtime.signals import Stopped
from src.storage.rows import read_rows
from tests.experiments import SMOKE, TIMES, built
from tests.processes import PATIENCE, free_port, in_processes
from tests.tiny import keys, tiny_model

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


# ---------------------------------------------------------------------------------------------- what passes between


@given(st.lists(st.integers(0, 9), max_size=23), st.integers(1, 5))
def test_parts_hold_every_item_once_and_are_alike(sizes: list[int], count: int) -> None:
    parts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes.Group, "size", count)
        for rank in range(count):
            patch.setattr(processes.Group, "rank", rank)
            parts.append(processes.local_indices(sizes))
    assert sorted(place for part in parts for place in part) == list(range(len(sizes)))
    assert all(part == sorted(part) for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    sums = [sum(sizes[place] for place in part) for part in parts]
    assert max(sums) - min(sums) <= 9  # the largest size


def test_one_process_has_all_of_it() -> None:
    tensor = torch.tensor([1.0])
    assert processes.local_indices([3, 1, 2]) == [0, 1, 2]
    assert processes.all_gather("a") == processes.run_everywhere(lambda: "a") == ["a"]
    assert processes.all_reduce_sum(tensor) is tensor and processes.all_reduce_max(-1) == -1
    assert processes.from_main(lambda: "b") == "b" and processes.is_main() and processes.speaks_first()
    with process_group.joined():
        assert (processes.rank(), processes.world_size()) == (0, 1)


def exchanged() -> dict[str, Any]:
    rank, size = processes.rank(), processes.world_size()
    own = processes.local_indices([5, 1, 4, 1, 3, 1, 2])
    lone = {rank: torch.ones(2, requires_grad=True) for rank in ("both", "one", "none")}
    lone["both"].grad = torch.full((2,), float(rank + 1))
    lone["one"].grad = torch.full((2,), 7.0) if rank == 1 else None
    sum_gradients(lone.values())
    found = {
        "gather": processes.all_gather(rank),
        "together": processes.merge(own, [place * 10 for place in own]),
        "total": processes.all_reduce_sum(torch.tensor([rank, 1])).tolist(),
        "largest": processes.all_reduce_max(-rank),
        # What the main process does alone may itself be in parts.
        "main": processes.from_main(
            lambda: (processes.rank(), processes.all_gather("a"), processes.local_indices([1, 1]))
        ),
        "grads": [None if one.grad is None else one.grad.tolist() for one in lone.values()],
        "after": processes.world_size() == size,
    }
    for way, fails in ((processes.from_main, 0), (processes.run_everywhere, 1)):
        try:
            way(lambda fails=fails: failing() if processes.rank() == fails else None)
        except RunError as error:
            found[way.__name__] = str(error)
    return found | {"first": processes.all_gather(processes.speaks_first()).count(True)}


def failing() -> None:
    raise RunError("no room")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_what_passes_between_processes(count: int) -> None:
    expected = {
        "gather": list(range(count)),
        "together": [0, 10, 20, 30, 40, 50, 60],
        "total": [sum(range(count)), count],
        "largest": 0,
        "main": (0, ["a"], [0, 1]),
        "grads": [[sum(range(count + 1))] * 2, [7.0, 7.0], None],
        "after": True,
        "from_main": "no room",
        "run_everywhere": "no room",
        "first": 1,
    }
    assert in_processes(count, exchanged) == [expected] * count


# ------------------------------------------------------------------------------------------------------- one run

CASES = {
    # Batches that two and three processes cannot share evenly, members, a pair fewer than processes.
    "adapters": ("F=2", "model=tiny_lora", "ensemble=2", "batch_size=5"),
    "few pairs": ("F=T", "reference=ema", "batch_size=2", "T=3"),
    "balanced": ("F=1", "allocation=balanced", "allocation.min_pool=4", "T=2", "batch_size=6"),
}


def run(folder: Path, cache: Path, *overrides: str) -> int:
    """A run that learns fast; how many texts this process's oracle was asked about."""
    asked, score = [0], GoldOracle.score

    def counting(self: GoldOracle, world: Any, prompts: Any, texts: Any) -> list[float]:
        asked[0] += len(texts)
        return score(self, world, prompts, texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GoldOracle, "score", counting)
        built(folder, cache, "learning_rate=0.01", "evaluate.every=2", *overrides).run()
    return asked[0]


def same(one: Path, other: Path) -> None:
    """That two runs have the same pairs, losses to 1e-5, evaluations, and weights to 1e-4."""
    for name in sorted(file.name for file in (one / "pairs").glob("round_*.jsonl")):
        for ours, theirs in zip(*(read_rows(folder / "pairs" / name) for folder in (one, other)), strict=True):
            assert ours["prompt_id"] == theirs["prompt_id"] and ours["chosen"] == theirs["chosen"]
            for mine, yours in zip(ours["responses"], theirs["responses"], strict=True):
                assert mine["ids"] == yours["ids"]
                assert mine["logps"] == pytest.approx(yours["logps"], abs=1e-4)
    metrics = [read_rows(folder / "metrics.jsonl") for folder in (one, other)]
    assert len(metrics[0]) > 1
    for ours, theirs in zip(*metrics, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        for name in ("grad_norm", "rewards/margins", "logps/chosen", "kl/behavior", "kl/sft", "pairs", "step"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-4), name
    for ours, theirs in zip(*(read_rows(folder / "results.jsonl") for folder in (one, other)), strict=True):
        for name in set(ours) - {*TIMES, "config_hash"}:
            number = isinstance(ours[name], int | float)
            assert ours[name] == (pytest.approx(theirs[name], rel=1e-4, abs=1e-4) if number else theirs[name]), name
    files = sorted(file.relative_to(one) for file in (one / "policy").rglob("*.safetensors"))
    assert files
    for file in files:
        ours, theirs = load_file(one / file), load_file(other / file)
        assert ours.keys() == theirs.keys()
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("adapters", 3),
        pytest.param("adapters", 4, marks=pytest.mark.nightly),
        pytest.param("few pairs", 3, marks=pytest.mark.nightly),
        ("balanced", 2),
    ],
)
def test_the_same_run_on_any_number_of_processes(tmp_path: Path, cache: Path, name: str, count: int) -> None:
    asked = run(tmp_path / "one", cache, *CASES[name])
    parts = in_processes(count, run, tmp_path / "several", cache, *CASES[name])
    assert all(isinstance(part, int) and part > 0 for part in parts), parts
    assert sum(parts) == asked
    same(tmp_path / "one", tmp_path / "several")


def run_in_parts(folder: Path, cache: Path, *overrides: str) -> tuple[int, int]:
    """A run with FSDP2, the weights that this process has of its layers, and those of whole ones."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    experiment = built(folder, cache, "learning_rate=0.01", "evaluate.every=2", *overrides)
    layers = sharding.layers_of(experiment.policy.model)
    experiment.run()
    frozen = [one for name, one in layers.named_parameters() if not name.endswith((".A", ".B"))]
    return sum(sharding.here(one).numel() for one in frozen), sum(one.numel() for one in frozen)


SHARDED = {
    "adapters": CASES["adapters"],
    "few pairs": ("F=T", "reference=sft", "model=tiny_lora", "batch_size=2", "T=3", "evaluate.prompts=3"),
    "recomputed": ("F=2", "model=tiny_lora", "model.gradient_checkpointing=true", "batch_size=5", "model.tokens=64"),
    "from sampling": ("F=2", "model=tiny_lora", "reference.from_sampling=true"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("adapters", 2),
        *(
            pytest.param(*more, marks=pytest.mark.nightly)
            for more in (("few pairs", 3), ("recomputed", 3), ("from sampling", 2))
        ),
    ],
)
def test_the_same_run_with_weights_in_parts(tmp_path: Path, cache: Path, name: str, count: int) -> None:
    run(tmp_path / "one", cache, *SHARDED[name])
    parts = in_processes(count, run_in_parts, tmp_path / "several", cache, *SHARDED[name])
    assert all(isinstance(part, tuple) for part in parts), parts
    whole = parts[0][1]
    assert sum(part[0] for part in parts) == whole
    assert max(part[0] for part in parts) < 0.6 * whole
    same(tmp_path / "one", tmp_path / "several")


def test_what_goes_not_with_weights_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sharding.problems(False, "ema", "balanced") == []
    monkeypatch.setattr(processes.Group, "size", 2)
    assert sharding.problems(False, "ema", "balanced") == []
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    found = sharding.problems(False, "ema", "balanced")
    assert [line.split()[0] for line in found] == [
        "fsdp_version:", "model.lora=null:", "reference=ema", "allocation=balanced:"
    ]  # fmt: skip
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert sharding.problems(True, "behavior", "uniform") == []


@pytest.mark.nightly
@pytest.mark.slow
def test_every_process_makes_members_of_the_sft_policy(tmp_path: Path) -> None:
    overrides = ("F=1", "model=tiny_lora", "ensemble=3", "T=1")
    for count, name in ((1, "one"), (2, "several")):
        if count == 1:
            run(tmp_path / name, tmp_path / f"cache-{name}", *overrides)
        else:
            in_processes(count, run, tmp_path / name, tmp_path / f"cache-{name}", *overrides)
    made = {
        name: {
            file.parent.name: file.read_bytes() for file in (tmp_path / f"cache-{name}").rglob("sft-*/*.safetensors")
        }
        for name in ("one", "several")
    }
    assert len(made["one"]) == 3 and made["one"] == made["several"]


PROMPTS = [tuple(range(2, 2 + length)) for length in (3, 9, 1, 5, 4, 7, 2)]


def sampled(temperature: float, longest: int) -> list[list[Ids]]:
    model = tiny_model()
    assert not longest or install(model)
    sampler = Sampler(temperature, 0, 1.0, 9, 7, longest)
    return sampler.sample(model, PROMPTS, keys(len(PROMPTS), 2), {5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45, 49})


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "longest"), [(1.0, 0), (0.0, 0), (1.3, 2**62)])
def test_responses_do_not_depend_on_the_number_of_processes(temperature: float, longest: int) -> None:
    expected = sampled(temperature, longest)
    assert len({len(ids) for group in expected for ids in group}) > 1
    for count in (2, 4):
        assert in_processes(count, sampled, temperature, longest) == [expected] * count


# ------------------------------------------------------------------------------------------------- leaving, dying


def signalled(folder: Path, cache: Path, number: int, rank: int, *overrides: str) -> None:
    """A run in which one process gets a signal in its second step."""
    real, steps = Learner.step, [0]

    def step(self: Learner, *arguments: Any) -> Any:
        steps[0] += 1
        if steps[0] == 2 and processes.rank() == rank:
            os.kill(os.getpid(), number)
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", step)
        run(folder, cache, *overrides)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_is_heard_by_all_and_another_number_goes_on(tmp_path: Path, cache: Path, rank: int) -> None:
    overrides = ("F=2", "T=4", "batch_size=3", "checkpoint_every=4")
    run(tmp_path / "one", cache, *overrides)
    left = in_processes(2, signalled, tmp_path / "several", cache, signal.SIGTERM, rank, *overrides)
    assert [type(one) for one in left] == [Stopped, Stopped]
    assert all(one.code == 143 and "2 of 4 steps are in a checkpoint" in str(one) for one in left)
    assert newest_step(tmp_path / "several" / "checkpoint") == 2
    if rank:
        run(tmp_path / "several", cache, *overrides)
    else:
        in_processes(3, run, tmp_path / "several", cache, *overrides)
    same(tmp_path / "one", tmp_path / "several")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 2])
def test_where_one_is_killed_the_others_say_so_and_the_run_goes_on(tmp_path: Path, cache: Path, rank: int) -> None:
    overrides = ("F=2", "T=4", "batch_size=4", "checkpoint_every=1")
    run(tmp_path / "one", cache, *overrides)
    started = time.monotonic()
    left = in_processes(3, signalled, tmp_path / "several", cache, signal.SIGKILL, rank, *overrides)
    assert time.monotonic() - started < PATIENCE / 2  # not the silence of a machine that is gone
    assert left.pop(rank) == KILLED
    for error in left:
        assert isinstance(error, Lost), error
        assert "another of the 3 processes has ended" in str(error) and "the same command goes on" in str(error)
    assert newest_step(tmp_path / "several" / "checkpoint") == 1
    in_processes(2, run, tmp_path / "several", cache, *overrides)
    same(tmp_path / "one", tmp_path / "several")


# ---------------------------------------------------------------------------------------------------- the command


def launch(folder: Path, count: int, *arguments: str) -> subprocess.Popen[str]:
    """The command as the README has it."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    settings = ROOT / "conf" / "accelerate" / "ddp.yaml"
    line = ["--config_file", str(settings), "--num_processes", str(count), "--main_process_port", str(free_port())]
    return subprocess.Popen(
        [sys.executable, "-m", "accelerate.commands.launch", *line, "-m", "src.train", *arguments, "device=cpu"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.nightly
@pytest.mark.slow
def test_accelerate_launches_a_run_that_one_killed_process_ends(tmp_path: Path, cache: Path) -> None:
    import psutil

    long = (*SMOKE, f"cache={cache}", "F=T", "T=400", "checkpoint_every=2", "evaluate.every=0", "hydra.run.dir=run")
    process, workers = launch(tmp_path, 2, *long), []
    try:
        until = time.monotonic() + PATIENCE
        while newest_step(tmp_path / "run" / "checkpoint") < 2:
            workers = [one for one in psutil.Process(process.pid).children() if "src.train" in one.cmdline()]
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        assert len(workers) == 2
        workers[1].kill()
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        for one in (*workers, process):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    assert process.returncode not in (0, None)
    assert output.count("2 processes, each with 1 thread") == 1 and output.count("round 0: collecting") == 1
    assert "another of the 2 processes has ended" in output or "stopping after this step" in output
    assert newest_step(tmp_path / "run" / "checkpoint") >= 2


@pytest.mark.nightly
def test_a_mistake_is_said_once(tmp_path: Path) -> None:
    process = launch(tmp_path, 2, "loss=dop", "-m", "seed=0,1")
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert output.count("loss=dop: no such loss") == 1 and output.count("-m: 2 processes share one run") == 1
    assert not list(tmp_path.glob("outputs"))
