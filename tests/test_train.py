"""The command itself: folders, multirun, going on after a kill, errors in the middle."""

import random
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from src import train
from src.runtime.errors import RunError
from src.storage.rows import read_rows
from tests.experiments import SMOKE, built, left_behind
from tests.forked import Forked


@pytest.mark.slow
def test_the_readme_line_runs_as_written(tmp_path: Path) -> None:
    process = Forked(train.main, tmp_path, *SMOKE, "loss=ipo", "F=2", "-m", "seed=0,1,2")
    output = process.communicate()[0]
    assert process.returncode == 0, output
    folders = sorted(path for path in (tmp_path / "outputs").iterdir() if path.is_dir())
    assert len(folders) == 3
    # Win rates of validation as they come; at the end a table of the multirun's cells, here one.
    assert len(re.findall(r"^(?:SFT policy|step \d+): win rate .* on \d+ prompts of validation$", output, re.M)) >= 6
    assert re.search(r"^cell +runs +win rate +95 % interval +seconds", output, re.M), output
    assert "outputs/tldr-ipo-F2-behavior-uniform-tiny-seed{0,1,2}" in output
    assert output.endswith("  python analysis/aggregate.py outputs\n")
    assert [read_rows(folder / "results.jsonl")[-1]["seed"] for folder in folders] == [0, 1, 2]
    assert all(read_rows(folder / "results.jsonl")[-1]["loss"] == "ipo" for folder in folders)
    # The same choices, alone and in another order, find the same folder and leave it alone.
    again = Forked(train.main, tmp_path, "seed=1", *reversed(SMOKE), "F=2", "loss=ipo")
    assert "is finished (win rate" in again.communicate()[0]
    assert again.returncode == 0
    assert sorted(path for path in (tmp_path / "outputs").iterdir() if path.is_dir()) == folders


@pytest.mark.nightly
@pytest.mark.slow
def test_a_failed_job_does_not_stop_the_others(tmp_path: Path) -> None:
    process = Forked(
        train.main, tmp_path, *SMOKE, "F=1", "optimizer.schedule=constant", "learning_rate=1e30,1e-4", "-m"
    )
    output = process.communicate()[0]
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "not finite" in output or "the loss is" in output
    finished = [f for f in (tmp_path / "outputs").iterdir() if f.is_dir() and (f / "policy").is_dir()]
    assert len(finished) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [pytest.param(("F=2",), marks=pytest.mark.nightly), ("F=T", "reference=ema", "model=tiny_lora", "ensemble=2")],
)
def test_a_killed_run_goes_on_to_the_same_result(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    arguments = (*SMOKE, *overrides, "checkpoint_every=1", "T=6")
    began = time.monotonic()
    assert Forked(train.main, tmp_path, *arguments, "hydra.run.dir=whole").wait(300) == 0
    seconds = time.monotonic() - began
    rng = random.Random(0)
    for _ in range(2):
        process = Forked(train.main, tmp_path, *arguments, "hydra.run.dir=killed")
        # From before the first file to after the last, by what the whole run took here.
        time.sleep(rng.uniform(0.2, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    last = Forked(train.main, tmp_path, *arguments, "hydra.run.dir=killed")
    output = last.communicate()[0]
    assert last.returncode == 0, output
    assert left_behind(tmp_path / "killed") == left_behind(tmp_path / "whole")


class Killed(BaseException):
    """Stands for a kill between two instructions."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("F=2",),
        ("F=T", "reference=ema"),
        ("F=1", "model=tiny_lora", "ensemble=2"),
        ("F=2", "allocation=balanced", "allocation.mode=pilot", "allocation.min_pool=4"),
    ],
)
def test_stopping_at_any_write_and_going_on_gives_the_same_result(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    """Every file write of a run is cut short once, before and after it; the next attempt goes on."""
    whole = built(tmp_path / "whole", cache, *overrides)
    whole.run()
    writes, stop_at = 0, 0

    def stopping(name: str, module: str) -> None:
        import importlib

        owner = importlib.import_module(module)
        real = getattr(owner, name)

        def wrapped(*args, **kwargs):
            nonlocal writes
            writes += 1
            if writes == stop_at:
                raise Killed
            result = real(*args, **kwargs)
            writes += 1
            if writes == stop_at:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, wrapped)

    for name, module in (
        ("append_rows", "src.run_folder.folder"),
        ("write_text", "src.run_folder.round_files"),
        ("save", "src.run_folder.checkpoint"),
    ):
        stopping(name, module)
    attempts = 0
    while True:
        attempts += 1
        writes, stop_at = 0, 1 + 3 * attempts
        run = built(tmp_path / "cut", cache, *overrides)
        try:
            run.run()
            break
        except Killed:
            assert attempts < 60
    assert attempts >= 3
    assert left_behind(tmp_path / "cut") == left_behind(tmp_path / "whole")


@pytest.mark.slow
def test_a_torn_last_line_is_dropped(tmp_path: Path, cache: Path) -> None:
    whole, torn = built(tmp_path / "whole", cache), built(tmp_path / "torn", cache)
    whole.run()
    for name in ("metrics", "results", "samples"):
        (tmp_path / "torn" / f"{name}.jsonl").write_text('{"step": 0, "rou')
    torn.run()
    assert left_behind(tmp_path / "torn") == left_behind(tmp_path / "whole")


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_the_checkpoint_loads(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.losses.dpo import DPO

    run = built(tmp_path / "run", cache, "checkpoint_every=1", "F=1", "evaluate.every=0")
    lengths, real = [], DPO.__call__

    def failing(self, pairs):
        losses = real(self, pairs)
        lengths.append((int(pairs.chosen_tokens[2]), int(pairs.rejected_tokens[2])))
        return torch.where(torch.arange(len(losses)) == 2, torch.nan, losses) if len(lengths) == 3 else losses

    monkeypatch.setattr(DPO, "__call__", failing)
    with pytest.raises(RunError, match=r"the loss is nan.*last good checkpoint is .*checkpoint") as error:
        run.run()
    step, place, prompt = map(int, re.match(r"step (\d), pair (\d) of 4 \(prompt (\d+)\)", str(error.value)).groups())
    named = read_rows(tmp_path / "run" / "pairs" / "round_000.jsonl")[4 * step + place]
    sizes = [len(response["ids"]) for response in named["responses"]]
    assert (step, prompt) == (2, named["prompt_id"])
    assert (sizes[named["chosen"]], sizes[1 - named["chosen"]]) == lengths[2]
    monkeypatch.setattr(DPO, "__call__", real)
    built(tmp_path / "run", cache, "checkpoint_every=1", "F=1", "evaluate.every=0").run()
    whole = built(tmp_path / "whole", cache, "checkpoint_every=1", "F=1", "evaluate.every=0")
    whole.run()
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


def test_a_checkpoint_of_an_earlier_version_is_named(tmp_path: Path, cache: Path) -> None:
    run = built(tmp_path / "run", cache)
    run.folder.checkpoint.mkdir()
    (run.folder.checkpoint / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(
        RunError, match="force=true starts the run afresh:\n.*state.pt is no checkpoint of this version"
    ):
        run.run()


def test_another_configuration_in_the_same_folder_is_refused(tmp_path: Path, cache: Path) -> None:
    built(tmp_path / "run", cache, "seed=0")
    with pytest.raises(RunError, match="another configuration"):
        built(tmp_path / "run", cache, "seed=1")


@pytest.mark.slow
def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        second = Forked(train.main, tmp_path, *SMOKE, "hydra.run.dir=run")
        output = second.communicate()[0]
    assert second.returncode == 1
    assert "another process is running here" in output and "Traceback" not in output


def test_what_a_run_leaves(tmp_path: Path, cache: Path) -> None:
    run = built(tmp_path / "run", cache, "model=tiny_lora", "ensemble=2", "F=2")
    run.run()
    names = {path.name for path in (tmp_path / "run").iterdir()} - {".lock"}
    assert names == {
        "SHA256SUMS", "config.yaml", "identity.json", "metrics.jsonl", "results.jsonl", "samples.jsonl", "pairs",
        "policy",
    }  # fmt: skip
    row = read_rows(tmp_path / "run" / "results.jsonl")[-1]
    wanted = (
        "schema_version run_id config_hash git_sha task data model loss reference F T batch_size ensemble allocation "
        "data_fingerprint "
        "oracle judge temperature split seed round step annotated_pairs generated_responses n_prompts samples "
        "wins ties losses n_invalid win_rate win_rate_se win_rate_length_controlled gold_score_mean sft_fingerprint "
        "judge_score_mean response_tokens_mean label_tokens_mean "
        "distinct_3 unique_rate kl_sft proxy_score_mean resampled passed_over oracle_ties seconds"
    )
    assert set(wanted.split()) <= set(row)
    assert row["n_prompts"] == 12 and row["samples"] == 2 and row["wins"] + row["ties"] + row["losses"] == 24
    assert row["win_rate"] == (row["wins"] + row["ties"] / 2) / 24
    assert row["judge_is_oracle"] is True
    step = read_rows(tmp_path / "run" / "metrics.jsonl")[0]
    wanted = (
        "loss rewards/chosen rewards/rejected rewards/margins rewards/accuracies logps/chosen logps/rejected grad_norm "
        "lr kl/behavior kl/sft time/collect time/annotate time/reference time/learn time/evaluate pairs_per_second "
        "tokens_per_second"
    )
    assert set(wanted.split()) <= set(step)
    samples = [s for s in read_rows(tmp_path / "run" / "samples.jsonl") if s["step"] == 4]
    assert len(samples) == 24 and {one["sample"] for one in samples} == {0, 1}
    assert {"prompt", "response", "label", "response_score", "label_score"} <= set(samples[0])
    assert (tmp_path / "run" / "policy" / "members" / "1" / "adapter_config.json").is_file()
    assert "PEFT" in (tmp_path / "run" / "policy" / "README.md").read_text()
