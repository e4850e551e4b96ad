"""The rows in docs/results are those of jobs as they are composed today, so that a grid goes on from them."""

from pathlib import Path

import pytest

from src.storage.run_name import config_hash
from sweeps.archive import Archive
from sweeps.grid import narrowed, read_grid
from sweeps.jobs import checked_jobs

ROOT = Path(__file__).parents[2]
FIG1 = ROOT / "sweeps" / "fig1.yaml"
REGIME_B = ["task=tldr", "model.sft.steps=500", "T=256", "learning_rate=1e-3", "loss.beta=0.2"]


@pytest.mark.parametrize(("name", "overrides"), [("fig1-default", []), ("fig1-regime-b", REGIME_B)])
def test_a_new_key_leaves_committed_runs_the_runs_that_they_are(name: str, overrides: list[str]) -> None:
    """A key that is added later has to be left out of the hash while it says what was done before."""
    runs = Archive(ROOT / "docs" / "results" / f"{name}.jsonl.gz").runs
    words = ["seed=100", "experiment=offline,bpo_f2,on_policy", "evaluate.every=0", *overrides]
    jobs = checked_jobs(narrowed(read_grid(FIG1), words))
    assert jobs and {(config_hash(job.plain), 100) for job in jobs} <= set(runs)
