"""SIGTERM and Ctrl-C: a checkpoint, a message, an exit status of its own; twice: at once."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability import damage, kills
from src import train
from src.collection import policy_offer
from src.evaluation.evaluator import Evaluator
from src.inference.sampler import Sampler
from src.learning import sft_cache
from src.learning.learner import Learner
from src.oracles.gold import GoldOracle
from src.run_folder.checkpoint import newest_step
from src.run_folder.folder import RunFolder
from src.runtime import signals
from src.runtime.signals import Stopped
from tests.commands import command
from tests.experiments import SMOKE, built, left_behind
from tests.forked import Forked

SMALL = ("F=2", "checkpoint_every=4", "evaluate.every=1")


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    with signals.listening():
        yield


def signalled(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, time_of: int, number: int) -> None:
    """Sends this process a signal when a function is called for so many times."""
    real, calls = getattr(owner, name), [0]

    def wrapped(*args, **kwargs):
        calls[0] += 1
        if calls[0] == time_of:
            os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize(
    ("owner", "name", "time_of", "step"),
    [
        (Sampler, "_draw", 2, 0),  # collecting round 0
        (Learner, "step", 2, 2),
        (Evaluator, "evaluate", 4, 3),
        (policy_offer, "label", 2, 2),  # the oracle of round 1
        (RunFolder, "save_policy", 1, 4),
    ],
)
def test_a_run_leaves_a_checkpoint_and_goes_on_to_the_same_result(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, owner: object, name: str, time_of: int,
    step: int,
) -> None:  # fmt: skip
    built(tmp_path / "whole", cache, *SMALL).run()
    run = built(tmp_path / "run", cache, *SMALL)
    with monkeypatch.context() as patch, pytest.raises(Stopped) as left:
        signalled(patch, owner, name, time_of, number)
        run.run()
    assert left.value.code == 128 + number
    assert f"stopped by {signal.Signals(number).name}: {step} of 4 steps are in a checkpoint" in str(left.value)
    assert newest_step(run.folder.checkpoint) == step
    signals._State.received = None
    built(tmp_path / "run", cache, *SMALL).run()
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("F=T", "reference=ema"), ("F=1", "model=tiny_lora", "ensemble=2")])
def test_stopping_again_and_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    built(tmp_path / "whole", cache, *overrides).run()
    draws = 0
    for draws in range(3, 60, 8):
        run = built(tmp_path / "run", cache, *overrides)
        signals._State.received = None
        try:
            with monkeypatch.context() as patch:
                signalled(patch, Sampler, "_draw", draws, signal.SIGTERM)
                run.run()
            break
        except Stopped:
            pass
    else:
        signals._State.received = None
        built(tmp_path / "run", cache, *overrides).run()
    assert draws > 3
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")


def test_sft_is_left_at_once_and_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="the run had not started to train"):
        signalled(patch, sft_cache, "finetune", 1, signal.SIGTERM)
        built(tmp_path / "run", tmp_path / "cache", *SMALL)
    assert not list((tmp_path / "cache").glob("sft-*/")) and not list((tmp_path / "cache").glob(".*"))


def test_an_oracle_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self, world, prompts, texts):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(600)

    monkeypatch.setattr(GoldOracle, "score", silent)
    old = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with pytest.raises(Stopped):
            built(tmp_path / "run", cache, *SMALL).run()
    finally:
        signal.signal(signal.SIGALRM, old)


@pytest.mark.parametrize(
    ("first", "second", "leaves"),
    [
        (signal.SIGINT, signal.SIGINT, [130]),
        (signal.SIGTERM, signal.SIGINT, [130]),
        (signal.SIGTERM, signal.SIGTERM, []),
    ],
)
def test_a_second_ctrl_c_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], first: int, second: int, leaves: list[int]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with signals.deferred():
        os.kill(os.getpid(), first)
        assert codes == []
        os.kill(os.getpid(), second)
    assert codes == leaves
    assert "stopping after this step; press Ctrl-C (again) to stop at once" in capfd.readouterr().err
    with pytest.raises(Stopped):
        signals.raise_if_stopped()


def test_nothing_is_heard_after_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals.listening():
        assert signal.getsignal(signal.SIGTERM) == signals._handle
    assert signal.getsignal(signal.SIGTERM) is before
    signals.raise_if_stopped()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_schedulers_signal_goes_on_to_who_listened_before(number: int) -> None:
    """As in a job of submitit, whose handler puts the job in the queue again; it hears it after the checkpoint."""
    heard: list[str] = []
    before = {one: signal.signal(one, lambda *_: heard.append("requeue")) for one in (number, signal.SIGTERM)}
    try:
        for sent, expected in ((number, ["left", "requeue"]), (signal.SIGTERM, ["left"])):
            heard.clear()
            with pytest.raises(Stopped) as left, signals.listening(), signals.listening(), signals.deferred():
                os.kill(os.getpid(), sent)
                assert heard == []
                try:
                    signals.raise_if_stopped()
                finally:
                    heard.append("left")
            assert left.value.code == 128 + sent
            assert heard == expected
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_a_schedulers_signal_that_is_ignored_reaches_nobody() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: heard.append(number))
    try:
        with signals.listening():
            with pytest.raises(Stopped) as left, signals.listening():
                os.kill(os.getpid(), signal.SIGUSR2)
            assert left.value.to_requeue
            signals.ignore_received()
        assert heard == []
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_schedulers_signal_without_a_launcher_is_an_exit_status() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        with pytest.raises(Stopped) as left, signals.listening():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert left.value.code == 138
    finally:
        signal.signal(signal.SIGUSR1, before)


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_multirun_leaves_as_a_whole(tmp_path: Path, number: int) -> None:
    process = Forked(train.main, tmp_path, *SMOKE, "F=T", "T=2000", "checkpoint_every=1000", "-m", "seed=0,1")
    wait_for(lambda: any(tmp_path.glob("outputs/*/metrics.jsonl")))
    process.send_signal(number)
    sent = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "steps are in a checkpoint" in output and "Traceback" not in output
    assert time.monotonic() - sent < 30  # 5 s are promised of a machine that has nothing else to do
    [run] = [folder for folder in (tmp_path / "outputs").iterdir() if (folder / "identity.json").is_file()]
    assert newest_step(run / "checkpoint") > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "harness",
    [
        pytest.param(lambda: kills.run(cases=2, stops=1, real=0, seed=0), id="kills", marks=pytest.mark.nightly),
        pytest.param(lambda: kills.run(cases=5, stops=1, real=0, seed=1), id="more kills", marks=pytest.mark.nightly),
        pytest.param(lambda: damage.run(cases=5, seed=0), id="damage"),
    ],
)
def test_the_harness_itself(tmp_path: Path, harness: Callable[[], int]) -> None:
    """The quick version of what `make reliability` runs."""
    process = Forked(lambda: sys.exit(harness()), tmp_path)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output


@pytest.mark.nightly
def test_the_harness_as_a_command(tmp_path: Path) -> None:
    done = command(tmp_path, "jobs=8", module="reliability.crowd")
    assert done.returncode == 0, done.stdout + done.stderr
