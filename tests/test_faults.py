"""What goes wrong around a run: a full disk, no rights, no memory, a clock that jumps, a wrong oracle, damage."""

import errno
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from src import train
from src.cli.checks import place_problems
from src.inference.scorer import Scorer
from src.loop import Experiment
from src.oracles.gold import GoldOracle
from src.run_folder.lock import run_lock
from src.runtime.errors import RunError
from src.storage import files
from src.storage.checksums import SUMS, damage
from src.storage.rows import read_rows
from tests.experiments import built, configured, left_behind

SMALL = ("F=2", "checkpoint_every=1", "evaluate.every=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    built(folder, cache, *SMALL).run()
    return folder


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Callable[[], Experiment]:
    return lambda: built(tmp_path / "run", cache, *SMALL)


def check_goes_on(run: Callable[[], Experiment], tmp_path: Path, whole: Path) -> None:
    run().run()
    assert left_behind(tmp_path / "run") == left_behind(whole)
    assert not damage(tmp_path / "run") and not list((tmp_path / "run").rglob("*.partial"))


# The disk ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 5, 15, 25])
def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(
    run: Callable[[], Experiment], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    real, left = os.fsync, [room]

    def fsync(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    experiment = run()
    with monkeypatch.context() as patch, pytest.raises(RunError, match=r"/run/.* cannot be written \(No space left"):
        patch.setattr(files.os, "fsync", fsync)
        experiment.run()
    check_goes_on(run, tmp_path, whole)


@pytest.fixture
def largest_file() -> Iterator[Callable[[int], None]]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_000, 20_000, 200_000])
def test_files_that_may_not_grow(
    run: Callable[[], Experiment], tmp_path: Path, whole: Path, size: int, largest_file: Callable[[int], None]
) -> None:
    """The system itself cuts rows, pairs and checkpoints short."""
    experiment = run()
    largest_file(size)
    with pytest.raises(RunError, match=r"/run/.* cannot be written"):
        experiment.run()
    largest_file(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    check_goes_on(run, tmp_path, whole)


def test_a_folder_without_the_right_to_write_is_named() -> None:
    """As nobody where the tests run as root, who may write anywhere."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "outputs").mkdir()
        os.chmod(place, 0o755)
        os.chmod(Path(place) / "outputs", 0o555)
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(RunError, match=r"outputs/run cannot be written \(Permission denied\)"):
                run_lock(Path(place) / "outputs" / "run").__enter__()
            [line] = place_problems(Path(place) / "outputs" / "run")
            assert "no right to write in" in line and "hydra.run.dir=DIR" in line
        finally:
            if root:
                os.seteuid(0)
            os.chmod(Path(place) / "outputs", 0o755)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    [line] = place_problems(tmp_path / "outputs" / "run")
    assert f"{tmp_path / 'outputs'} is a file" in line
    assert place_problems(tmp_path / "new" / "run") == []


# Memory, clock, oracle -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: no memory"),
    ],
)
def test_out_of_memory_in_a_step_names_the_setting_and_the_checkpoint(
    run: Callable[[], Experiment], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, steps = Scorer.member_logps, [0]

    def failing(self, *args):
        steps[0] += torch.is_grad_enabled()
        if steps[0] == 3:
            raise error
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "member_logps", failing)
        said = (
            r"out of memory \(.*lower model.tokens=512, .*; where there is more memory, the last good checkpoint is of"
        )
        with pytest.raises(RunError, match=said):
            run().run()
    check_goes_on(run, tmp_path, whole)


def test_a_clock_that_jumps_back_changes_nothing(
    run: Callable[[], Experiment], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2e9]

    def jumping() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", jumping)
    run().run()
    assert left_behind(tmp_path / "run") == left_behind(whole)
    metrics = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert all(value >= 0 for row in metrics for name, value in row.items() if name.startswith("time/"))
    assert all(row["seconds"] >= 0 for row in read_rows(tmp_path / "run" / "results.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [lambda n: [float("nan")] * n, lambda n: [[1.0]] * n, lambda n: [1.0], lambda n: None]
)
def test_a_wrong_oracle_ends_the_run_and_a_right_one_goes_on(
    run: Callable[[], Experiment], tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, wrong: Callable
) -> None:
    real, asked = GoldOracle.score, [0]

    def score(self, world, prompts, texts):
        asked[0] += 1
        return wrong(len(texts)) if asked[0] == 3 else real(self, world, prompts, texts)

    with monkeypatch.context() as patch:
        patch.setattr(GoldOracle, "score", score)
        with pytest.raises(RunError, match="gold.* gave "):
            run().run()
    check_goes_on(run, tmp_path, whole)


# Damage --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path, cache: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Experiment]:
    """A run that was killed at its last step but one, whatever was warned of printed."""
    from src.learning.learner import Learner

    class Killed(BaseException):
        pass

    real = Learner.step

    def step(self, number, batch):
        if number == 3:
            raise Killed
        return real(self, number, batch)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Learner, "step", step)
        built(tmp_path / "run", cache, *SMALL).run()
    return lambda: built(tmp_path / "run", cache, *SMALL)


def flip(file: Path, place: int = -40) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.slow
def test_the_last_two_checkpoints_are_kept_and_the_sound_one_is_used(
    killed: Callable[[], Experiment], tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older, newer = sorted((tmp_path / "run" / "checkpoint").iterdir())
    assert (older.name[:11], newer.name[:11]) == ("step_000002", "step_000003")
    flip(newer)
    killed().run()
    said = capsys.readouterr().out
    assert f"{newer} is damaged" in said and "going on from step 2" in said
    assert left_behind(tmp_path / "run") == left_behind(whole)


def test_without_a_sound_checkpoint_the_run_is_refused(killed: Callable[[], Experiment], tmp_path: Path) -> None:
    checkpoints = sorted((tmp_path / "run" / "checkpoint").iterdir())
    for file in checkpoints:
        flip(file)
    with pytest.raises(RunError, match="force=true") as error:
        killed().run()
    assert all(f"{file} is damaged" in str(error.value) for file in checkpoints)
    assert sorted((tmp_path / "run" / "checkpoint").iterdir()) == checkpoints


def test_a_checkpoint_under_another_step_is_refused(killed: Callable[[], Experiment], tmp_path: Path) -> None:
    older, newer = sorted((tmp_path / "run" / "checkpoint").iterdir())
    shutil.copy(older, older.with_name(older.name.replace("000002", "000009")))
    newer.unlink()
    older.unlink()
    with pytest.raises(RunError, match="a checkpoint of step 2 under another name"):
        killed().run()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics.jsonl", "results.jsonl", "samples.jsonl", "pairs/round_000.jsonl"])
def test_damaged_rows_before_the_checkpoints_are_refused_by_name(
    killed: Callable[[], Experiment], tmp_path: Path, name: str
) -> None:
    flip(tmp_path / "run" / name, 40)
    with pytest.raises(RunError, match=rf"run/{name} is damaged"):
        killed().run()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.yaml", "identity.json"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda file: flip(file),
        lambda file: file.unlink(),
        lambda file: shutil.copy(file.parent / "pairs" / "round_000.json", file),  # signed too, and by this run
        lambda file: shutil.copy(file.parent / "pairs" / "plan_000.json", file),
    ],
    ids=["flipped", "deleted", "a round", "a plan"],
)
def test_what_can_be_made_again_is(
    killed: Callable[[], Experiment], tmp_path: Path, whole: Path, name: str, harm: Callable[[Path], None]
) -> None:
    before = (tmp_path / "run" / name).read_bytes()
    harm(tmp_path / "run" / name)
    killed().run()
    assert (tmp_path / "run" / name).read_bytes() == before
    assert left_behind(tmp_path / "run") == left_behind(whole)


@pytest.mark.parametrize("name", ["results.jsonl", "pairs/round_001.json", "policy/model.safetensors", SUMS])
def test_a_damaged_finished_run_is_refused_by_name_and_sound_ones_left_alone(
    tmp_path: Path, cache: Path, whole: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    from analysis.runs import Run, read_run

    shutil.copytree(whole, tmp_path / whole.name)
    folder = tmp_path / whole.name
    _, plain, choices = configured(cache, *SMALL)
    train.run(plain, choices, folder)
    assert "is finished (win rate" in capsys.readouterr().out
    flip(folder / name)
    with pytest.raises(RunError, match=name.split("/")[-1]):
        train.run(plain, choices, folder)
    read = read_run(folder)
    assert not isinstance(read, Run) if name == "results.jsonl" else True
    assert not isinstance(read, Run) or read.row == read_rows(whole / "results.jsonl")[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "made.json"])
def test_a_damaged_sft_policy_is_named_and_made_again(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    built(tmp_path / "first", tmp_path / "cache", *SMALL)
    for folder in (tmp_path / "cache").glob("*-*/"):
        flip(folder / name, -20)
    built(tmp_path / "run", tmp_path / "cache", *SMALL).run()
    assert f"{name} is damaged" in capsys.readouterr().out
    assert left_behind(tmp_path / "run") == left_behind(whole)
