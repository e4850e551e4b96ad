"""How a run was made: its command, its machine, its settings beside the defaults."""

import json
from pathlib import Path

from analysis.cells import make_grid
from analysis.run_facts import NOT_RECORDED, run_facts
from analysis.runs import Run, read_run
from analysis.shown import in_order
from tests.analysis.made_runs import make_run

ATTEMPT = {
    "started": "2026-01-02T03:04:05+00:00", "command": "python -m src.train F=4", "git_sha": "abc", "processor": "Fast",
    "cores": 8, "threads": 1, "memory_gib": 64.0, "gpu": "GPU", "gpu_memory_gib": 80.0, "processes": 2,
    "system": "Linux x86_64", "python": "3.11.7", "torch": "2.13.0", "transformers": "5", "peft": None, "numpy": "2",
}  # fmt: skip


def facts_of(folder: Path):
    run = read_run(folder)
    assert isinstance(run, Run)
    [found] = run_facts(in_order(1, make_grid([run])[0]))
    return found


def test_the_last_attempt_says_command_and_machine(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    lines = [json.dumps(ATTEMPT | {"command": "old", "processor": "Slow"}), json.dumps(ATTEMPT), "{torn"]
    (folder / "attempts.jsonl").write_text("\n".join(lines))
    found, facts = facts_of(folder), dict(facts_of(folder).facts)
    assert found.command == "python -m src.train F=4" and found.state == "finished"
    assert facts["Hardware"] == "GPU (80.0 GiB), Fast, 8 cores, 1 thread, 64.0 GiB, 2 processes"
    assert facts["Software"] == "Linux x86_64; python 3.11.7, torch 2.13.0, transformers 5, numpy 2"
    assert facts["Commit"] == "abc" and facts["Win rate"] == "60.0 % (test)" and "2;" in facts["Attempts"]


def test_a_run_that_has_not_kept_its_command_has_one_from_its_configuration(tmp_path: Path) -> None:
    found = facts_of(make_run(tmp_path / "a", T=16, seed=3))
    assert found.command.startswith("python -m src.train task=tldr loss=dpo F=2 reference=behavior ")
    assert " T=16 " in found.command and found.command.endswith(" seed=3")
    assert dict(found.facts)["Hardware"] == NOT_RECORDED
    assert ("T", "16", "64") in found.changes and not [one for one in found.changes if one[0] == "batch_size"]
    (tmp_path / "a" / "config.yaml").unlink()
    assert "no config.yaml" in facts_of(tmp_path / "a").command
