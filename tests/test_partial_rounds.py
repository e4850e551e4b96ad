"""A round that was stopped while it was collected: what was sampled is kept, and the run ends with the same bits."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from src.inference.sampler import Sampler
from src.loop import Experiment
from src.run_folder.round_files import load_round, save_round
from src.runtime import signals
from src.storage.files import write_text
from tests.experiments import built, left_behind

# Batches of two prompts; both rounds begin between two checkpoints.
SMALL = ("F=2", "T=4", "batch_size=4", "checkpoint_every=100", "evaluate.every=0", "model.rows=4")
OPTIONS = {
    "uniform": (),
    "from_sampling": ("reference.from_sampling=true",),
    "balanced": ("allocation=balanced", "allocation.min_pool=2", "batch_size=8"),
    "depth": ("allocation.depth=2",),
    "full": ("model=tiny", "loss=ipo"),
}


class Killed(BaseException):
    """In the place of SIGKILL: nothing handles it."""


def at_batch(
    patch: pytest.MonkeyPatch, number: int | None, act: Callable[[], None], what: str = "sampled"
) -> list[int]:
    """Acts instead of sampling the n-th batch of training pairs (None: never); counts the batches that were sampled.

    `what="evaluating"` is about the batches of evaluations.
    """
    sampled: list[int] = []
    batch = Sampler._batch

    def counted(self: Sampler, *args):
        if self.kept is None or what not in self.kept.file.name:
            return batch(self, *args)
        if len(sampled) == number:
            act()
        sampled.append(1)
        return batch(self, *args)

    patch.setattr(Sampler, "_batch", counted)
    return sampled


def kill() -> None:
    raise Killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Callable[[str], tuple[Path, int]]:
    """Undisturbed runs, and how many batches they sampled."""
    made: dict[str, tuple[Path, int]] = {}

    def make(name: str) -> tuple[Path, int]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                sampled = at_batch(patch, None, kill)
                built(folder, cache, *SMALL, *OPTIONS[name]).run()
            made[name] = folder, len(sampled)
        return made[name]

    return make


def left_over(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if re.search(r"sampled|evaluating|\.partial$", file.name)]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "from_sampling" else pytest.mark.nightly) for name in OPTIONS],
)
def test_a_run_killed_in_every_batch_samples_each_once(
    tmp_path: Path, cache: Path, whole: Callable[[str], tuple[Path, int]], name: str
) -> None:
    folder, batches = whole(name)
    assert batches >= 8
    attempts = sampled = 0
    while True:
        attempts += 1
        run = built(tmp_path / "run", cache, *SMALL, *OPTIONS[name])
        with pytest.MonkeyPatch.context() as patch:
            seen = at_batch(patch, 1, kill)  # one batch an attempt
            try:
                run.run()
                break
            except Killed:
                sampled += len(seen)
    assert (attempts, sampled + len(seen)) in ((batches, batches), (batches + 1, batches))
    assert left_behind(tmp_path / "run") == left_behind(folder)
    assert left_over(tmp_path / "run") == []


def test_a_signal_keeps_the_batches_too(
    tmp_path: Path, cache: Path, whole: Callable[[str], tuple[Path, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, batches = whole("uniform")

    def stop() -> None:
        raise signals.Stopped(signals.REQUEUE[1])

    with monkeypatch.context() as patch:
        at_batch(patch, batches - 1, stop)
        with pytest.raises(signals.Stopped) as stopped:
            built(tmp_path / "run", cache, *SMALL).run()
    assert "all that was sampled in pairs/" in str(stopped.value)
    with monkeypatch.context() as patch:
        seen = at_batch(patch, None, kill)
        built(tmp_path / "run", cache, *SMALL).run()
    assert len(seen) == 1
    assert left_behind(tmp_path / "run") == left_behind(folder)


def test_an_evaluation_killed_again_and_again_samples_each_batch_once(tmp_path: Path, cache: Path) -> None:
    """On validation after two steps, and on test: of the SFT policy, which the cache then has, and of the last one."""
    lines = (*SMALL, "evaluate.every=2", "evaluate.temperature=0.9")
    with pytest.MonkeyPatch.context() as patch:
        counted = at_batch(patch, None, kill, "evaluating")
        built(tmp_path / "whole", tmp_path / "its", *lines).run()
    attempts = sampled = 0
    while True:
        attempts += 1
        run = built(tmp_path / "run", cache, *lines)
        with pytest.MonkeyPatch.context() as patch:
            seen = at_batch(patch, 3, kill, "evaluating")
            try:
                run.run()
                break
            except Killed:
                sampled += len(seen)
    assert sampled + len(seen) == len(counted) and attempts == 5
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "whole")
    assert left_over(tmp_path / "run") == []


def killed(folder: Path, cache: Path, number: int, *more: str) -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        at_batch(patch, number, kill)
        with pytest.raises(Killed):
            built(folder, cache, *SMALL, *more).run()
    return built(folder, cache, *SMALL, *more)


@pytest.mark.parametrize("what", ["damaged", "of another run", "of another round before"])
def test_what_cannot_be_used_is_reported_and_sampled_again(
    tmp_path: Path, cache: Path, whole: Callable[[str], tuple[Path, int]], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder, batches = whole("uniform")
    run = killed(tmp_path / "run", cache, batches - 1)
    [file] = (tmp_path / "run").rglob("sampled_001.jsonl")
    if what == "damaged":
        file.write_bytes(file.read_bytes().replace(b'"responses"', b'"answers"', 1))
    elif what == "of another run":
        other = killed(tmp_path / "other", cache, batches - 1, "seed=1").folder
        write_text(file, (other.pairs / file.name).read_text())
    else:
        pairs = tmp_path / "run" / "pairs" / "round_000.json"
        pairs.unlink()  # the round is collected again, to the same pairs
    said: list[str] = []
    monkeypatch.setattr("src.runtime.report.Report.warn", lambda self, text: said.append(text))
    with monkeypatch.context() as patch:
        seen = at_batch(patch, None, kill)
        run.run()
    assert left_behind(tmp_path / "run") == left_behind(folder)
    if what == "of another round before":
        assert said == [] and len(seen) == 5
    else:
        assert len(said) == 1 and "sampled_001.jsonl" in said[0] and len(seen) > 1


def test_batches_of_a_policy_that_learned_from_other_pairs_are_not_used(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = killed(tmp_path / "run", cache, 7)
    pairs, prompts = run.folder.pairs, run.collection.prompts
    comparisons, drawn, tally = load_round(pairs, 0, prompts)
    turned = [replace(pair, chosen=None if pair.chosen is None else 1 - pair.chosen) for pair in comparisons]
    save_round(pairs, 0, turned, drawn, tally, run.folder.identity["config_hash"])
    said: list[str] = []
    monkeypatch.setattr("src.runtime.report.Report.warn", lambda self, text: said.append(text))
    seen = at_batch(monkeypatch, None, kill)
    run.run()
    assert len(seen) == 4 and len(said) == 1 and "of another policy" in said[0]
