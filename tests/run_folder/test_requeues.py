"""Attempts of a run that a scheduler stops: those that get nowhere are not queued again."""

import signal
from pathlib import Path

import pytest

from src import train
from src.inference.sampler import Sampler
from src.run_folder.requeues import is_stuck
from src.runtime.errors import RunError
from tests.experiments import SMOKE, built, left_behind
from tests.forked import Forked

LINES = ("F=2", "evaluate.every=0", "checkpoint_every=1")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run" / "pairs").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint").mkdir()
    return tmp_path / "run"


def test_the_second_attempt_that_stops_at_one_place_is_the_last(run: Path, tmp_path: Path) -> None:
    assert [is_stuck(run, tmp_path / "cache", seconds) for seconds in (3600.0, 3590.0)] == [False, True]


@pytest.mark.parametrize(
    "made",
    [
        "run/checkpoint/step_000001-x.pt", "run/pairs/sampled_000.jsonl", "run/pairs/round_000.jsonl",
        "run/answers/oracle.jsonl", "run/.evaluating_test_sft.jsonl", "cache/sft-0123/made.json",
    ],
)  # fmt: skip
def test_whatever_was_finished_in_between_counts(run: Path, tmp_path: Path, made: str) -> None:
    for content in ("", "more") if "cache" not in made and ".pt" not in made else ("",):
        assert not is_stuck(run, tmp_path / "cache", 3600.0)
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).write_text(content)
    assert [is_stuck(run, tmp_path / "cache", 3600.0) for _ in range(2)] == [False, True]


def test_a_preempted_attempt_may_begin_again_but_not_for_ever(run: Path, tmp_path: Path) -> None:
    assert [is_stuck(run, tmp_path, seconds) for seconds in (3600.0, 60.0, 60.0)] == [False, False, True]
    (run / "pairs" / "sampled_001.jsonl").write_text("a batch")
    assert [is_stuck(run, tmp_path, seconds) for seconds in (60.0, 3600.0)] == [False, True]


def test_a_run_that_has_no_folder_yet_and_one_that_cannot_write_are_not_judged(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_stuck(tmp_path / "none", tmp_path, 60.0) and not is_stuck(tmp_path / "none", tmp_path, 60.0)

    def full(path: Path, text: str) -> None:
        raise RunError("no space")

    monkeypatch.setattr("src.run_folder.requeues.write_text", full)
    assert not is_stuck(run, tmp_path, 60.0) and not is_stuck(run, tmp_path, 60.0)


def attempt(folder: Path, cache: Path, number: int | None) -> tuple[int, str]:
    """The command, which gets the signal while it draws tokens of the first batch (None: no signal)."""
    draw = Sampler._draw

    def stopped_within(self: Sampler, *args):
        signal.raise_signal(number)
        return draw(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        if number is not None:
            patch.setattr(Sampler, "_draw", stopped_within)
        process = Forked(train.main, folder, *SMOKE, *LINES, f"cache={cache}", "hydra.run.dir=run")
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(signal.SIGUSR1, marks=pytest.mark.nightly), signal.SIGUSR2])
def test_a_stage_longer_than_the_time_limit_is_not_queued_for_ever(tmp_path: Path, cache: Path, number: int) -> None:
    built(tmp_path / "whole", cache, *LINES).run()
    status, output = attempt(tmp_path, cache, number)
    assert status == 128 + number and "The same command continues" in output and "not queued again" not in output
    status, output = attempt(tmp_path, cache, number)
    assert status == 1, output
    assert "the attempt before was stopped at the same place" in output and "timeout_min=MINUTES" in output
    assert "Traceback" not in output
    # Ctrl-C is no scheduler: it may be pressed as often as one likes.
    assert attempt(tmp_path, cache, signal.SIGINT)[0] == 130
    assert attempt(tmp_path, cache, None)[0] == 0
    assert left_behind(tmp_path / "run")["policy"] == left_behind(tmp_path / "whole")["policy"]
    assert not list((tmp_path / "run").glob(".stopped_*"))
