import pytest

from src.cli.compose import Job
from src.runtime.errors import ConfigError
from sweeps import launcher
from sweeps.launcher import check_launcher, room_for
from tests.sweeps.example import job


def test_a_launcher_that_is_not_there_is_named() -> None:
    check_launcher("basic")
    check_launcher("joblib")
    with pytest.raises(ConfigError, match="--launcher slurm: Hydra has basic, .*joblib"):
        check_launcher("slurm")


def test_as_many_jobs_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def room(cores: int, gigabytes: float, *jobs: Job) -> int:
        monkeypatch.setattr(launcher, "cores", lambda: cores)
        monkeypatch.setattr(
            launcher.psutil, "virtual_memory", lambda: type("Memory", (), {"available": gigabytes * 2**30})
        )
        return room_for(jobs)

    assert room(8, 64, *[job()] * 20) == 8
    assert room(8, 64, *[job()] * 3) == 3
    assert room(8, 5, *[job()] * 20) == 3
    assert room(8, 0.5, *[job()] * 20) == 1
    assert room(8, 64, job(), job(model={"scratch": None})) == 1
    monkeypatch.setattr(launcher.torch.cuda, "is_available", lambda: True)
    assert room(8, 64, *[job(device="auto")] * 20) == 1
    assert room(8, 64, *[job()] * 20) == 8
