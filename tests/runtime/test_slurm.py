"""What Slurm's commands print, read; the commands are scripts in their place."""

import os
from pathlib import Path

import pytest

from src.runtime import slurm
from src.runtime.slurm import Queued, cancel, last_state, minutes, partition_minutes, queue


@pytest.fixture
def prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """prints(command, text, status): a command of this name that prints a text and notes its arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(command: str, text: str, status: int = 0) -> Path:
        file, called = tmp_path / command, tmp_path / f"{command}.called"
        (tmp_path / f"{command}.text").write_text(text)
        file.write_text(f'#!/bin/sh\necho "$@" >> {called}\ncat {file}.text\nexit {status}\n')
        os.chmod(file, 0o755)
        return called

    return make


def test_the_queue(prints) -> None:
    called = prints(
        "squeue", "12_0|RUNNING|None\n12_1|PENDING|PartitionTimeLimit\n13|COMPLETING|None\nslurm_load: odd\n"
    )
    assert queue() == {
        "12_0": Queued("RUNNING", "None"),
        "12_1": Queued("PENDING", "PartitionTimeLimit"),
        "13": Queued("COMPLETING", "None"),
    }
    assert "--array" in called.read_text()


def test_a_queue_that_cannot_be_asked_is_not_empty(prints, monkeypatch: pytest.MonkeyPatch) -> None:
    assert queue() is None  # no such command
    prints("squeue", "", status=1)
    assert queue() is None
    prints("squeue", "")
    assert queue() == {}
    monkeypatch.setattr(slurm, "PATIENCE", 0.2)
    Path(os.environ["PATH"].split(":")[0], "squeue").write_text("#!/bin/sh\nexec sleep 20\n")
    assert queue() is None


def test_the_last_state_comes_without_accounting(prints) -> None:
    assert last_state("12_1") == ""
    prints("sacct", "TIMEOUT\n")
    assert last_state("12_1") == "TIMEOUT"
    prints("scontrol", "JobId=14 ArrayJobId=12 JobName=x JobState=CANCELLED Reason=None\n")
    assert last_state("12_1") == "CANCELLED"


def test_cancelling_nothing_asks_nobody(prints) -> None:
    called = prints("scancel", "")
    cancel([])
    assert not called.exists()
    cancel(["12_0", "13"])
    assert called.read_text() == "12_0 13\n"


@pytest.mark.parametrize(
    ("printed", "asked", "expected"),
    [
        ("main*|8:00:00\nshort|30:00\n", None, ("main", 480)),
        ("short|30:00\n", "short", ("short", 30)),
        ("short|30:00\nlong|1-00:00:00\n", "short,long", ("long", 1440)),
        ("short|30:00\nlong|infinite\n", "short,long", None),
        ("main*|infinite\n", None, None),
        ("main|8:00:00\n", None, None),  # no default
        ("", "none", None),
    ],
)
def test_the_limit_of_a_partition(prints, printed: str, asked: str | None, expected) -> None:
    prints("sinfo", printed)
    assert partition_minutes(asked) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30:00", 30), ("8:00:00", 480), ("1-12:30:59", 2190), ("2-00:00:00", 2880), ("infinite", None), ("n/a", None)],
)
def test_times(text: str, expected: int | None) -> None:
    assert minutes(text) == expected
