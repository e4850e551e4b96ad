"""The name of a job that shares its terminal."""

from hydra.types import RunMode
from omegaconf import OmegaConf

from src.cli.job_name import SHARED, name_beside_others, share_words

JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def hydra(target: str = JOBLIB, mode: RunMode = RunMode.MULTIRUN, n_jobs: int = 2, task: str = "T=4 seed=1"):
    launcher = {"_target_": target, "n_jobs": n_jobs}
    return OmegaConf.create(
        {"launcher": launcher, "mode": mode, "overrides": {"task": task.split()}, "job": {"num": 3}}
    )


def test_jobs_beside_each_other_are_named_by_what_differs(monkeypatch) -> None:
    monkeypatch.setenv(SHARED, "")
    share_words([["T=4", "seed=1"], ["T=4", "seed=2"]])
    assert name_beside_others(hydra()) == "seed=1"
    assert name_beside_others(hydra(task="T=4")) == "job 3"


def test_a_job_that_has_its_terminal_alone_has_no_name() -> None:
    assert name_beside_others(hydra(BASIC)) == ""
    assert name_beside_others(hydra(n_jobs=1)) == ""
    assert name_beside_others(hydra(mode=RunMode.RUN)) == ""
