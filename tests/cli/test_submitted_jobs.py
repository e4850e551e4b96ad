"""Jobs in the queue of submitit: refused, submitted, watched, named when they fail, cancelled with their launcher."""

import importlib.util
import os
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from src import train
from src.cli import queued_jobs, submitted_jobs
from src.cli.queued_jobs import QueuedJobs, logged_reason
from src.cli.submitted_jobs import launch_problems
from src.runtime.slurm import Queued
from tests.experiments import SMOKE
from tests.forked import Forked

PARAMS = {"timeout_min": 240, "signal_delay_s": 120, "partition": None, "nodes": 1, "tasks_per_node": 1}


@pytest.mark.parametrize(
    ("changes", "limit", "expected"),
    [
        ({}, None, []),
        ({}, ("main", 240), []),
        ({"nodes": None, "tasks_per_node": None}, None, []),
        ({"timeout_min": 1}, None, ["timeout_min=1: .*signal_delay_s=120 .*at least 4 minutes"]),
        ({"timeout_min": 3}, None, ["at least 4 minutes"]),
        ({"timeout_min": 4}, None, []),
        ({"timeout_min": 3, "signal_delay_s": 60}, None, []),
        ({}, ("short", 30), ["partition short allows 30 minutes.*timeout_min=30"]),
        ({"tasks_per_node": 2}, None, ["nodes=1 hydra.launcher.tasks_per_node=2: a job would run 2 times"]),
        ({"nodes": 2, "tasks_per_node": 4}, None, ["would run 8 times"]),
    ],
)
def test_what_would_never_start_or_stop_too_soon_is_refused(monkeypatch, changes, limit, expected) -> None:
    monkeypatch.setattr(submitted_jobs.slurm, "partition_minutes", lambda partition: limit)
    found = launch_problems(PARAMS | changes, on_slurm=True)
    assert len(found) == len(expected) and all(re.search(*pair) for pair in zip(expected, found, strict=True))


def test_processes_of_this_machine_have_no_partition() -> None:
    assert launch_problems({"timeout_min": 1, "nodes": 1, "tasks_per_node": 1}, on_slurm=False) == []
    assert len(launch_problems({"timeout_min": 1, "nodes": 1, "tasks_per_node": 2}, on_slurm=False)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("submitit INFO\n\n/out/a: first\n/out/ab: no\n/out/a: it is nan\nslurmstepd: CANCELLED\n", "it is nan"),
        ("submitit INFO (date) - Starting\nslurmstepd: 1 oom-kill event\n\n", "slurmstepd: 1 oom-kill event"),
        ("submitit INFO\n", ""),
        (None, ""),
    ],
)
def test_the_reason_is_the_runs_own_or_slurms(tmp_path: Path, text: str | None, expected: str) -> None:
    if text is not None:
        (tmp_path / "log").write_text(text)
    assert logged_reason(tmp_path / "log", "/out/a") == expected


class Job:
    """A job of submitit: its folder, and its result once `end` was called."""

    def __init__(self, folder: Path, id: str) -> None:
        self.job_id = id
        (folder / id).mkdir(parents=True)
        names = {"stderr": "err", "stdout": "out", "result_pickle": "result"}
        self.paths = SimpleNamespace(folder=folder / id, **{key: folder / id / name for key, name in names.items()})

    def end(self, *outcome: object) -> None:
        from submitit.core.utils import cloudpickle_dump

        cloudpickle_dump(outcome, self.paths.result_pickle)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """jobs(*ids): a launch of Slurm jobs that are under way; `.queue` is Slurm's queue, each look takes no time."""
    pytest.importorskip("submitit")

    def make(*ids: str) -> QueuedJobs:
        sweep = SimpleNamespace(dir="/out", subdir="run")
        loader = SimpleNamespace(load_sweep_config=lambda *_: SimpleNamespace(hydra=SimpleNamespace(sweep=sweep)))
        launcher = SimpleNamespace(
            _EXECUTOR="slurm", params={"submitit_folder": str(tmp_path / "%j")}, config=None,
            hydra_context=SimpleNamespace(config_loader=loader),
        )  # fmt: skip
        made = QueuedJobs(launcher, lambda launcher: launcher, [[f"seed={id}"] for id in ids], 0)
        made._open = {index: Job(tmp_path, id) for index, id in enumerate(ids)}
        made.queue = {id: Queued("RUNNING", "None") for id in ids}
        monkeypatch.setattr(queued_jobs.slurm, "queue", lambda: made.queue)
        return made

    monkeypatch.setattr(queued_jobs, "ASK", 0.0)
    monkeypatch.setattr(queued_jobs.slurm, "last_state", lambda id: "CANCELLED")
    return make


def passing(monkeypatch: pytest.MonkeyPatch, *events) -> None:
    """What happens while the launching process sleeps, one event each time."""
    rest = iter(events)
    monkeypatch.setattr(queued_jobs.time, "sleep", lambda _: next(rest)())


def test_all_that_fail_are_named_with_reason_state_and_log(jobs, monkeypatch, capsys) -> None:
    made = jobs("7_0", "7_1", "7_2")
    good, bad, lost = made._open.values()
    lost.paths.stderr.write_text("/out/run: stopped by SIGTERM: 3 of 4 steps\n")
    passing(
        monkeypatch, lambda: bad.end("error", "failed: /out/run"), lambda: made.queue.pop("7_2"), lambda: None,
        lambda: good.end("success", "returned"),
    )  # fmt: skip
    made.wait()
    assert made.failed == 2 and made.results == {0: "returned"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("/out/run: failed: /out/run (job 7_1 FAILED; ")
    assert lines[1] == f"/out/run: stopped by SIGTERM: 3 of 4 steps (job 7_2 CANCELLED; {lost.paths.stderr})"
    assert lines[2] == "/out/run has ended (job 7_0)"


def test_a_job_is_not_lost_while_slurm_does_not_answer_or_is_late(jobs, monkeypatch) -> None:
    made = jobs("7")
    [job] = made._open.values()
    there, none = made.queue, {}

    def answer(queue):
        return lambda: setattr(made, "queue", queue)

    passing(
        monkeypatch, answer(None), answer(None), answer(None), answer(none), answer(there), answer(none),
        lambda: job.end("success", "returned"),
    )  # fmt: skip
    made.wait()
    assert made.failed == 0 and made.results == {0: "returned"}


def test_why_a_job_is_pending_is_said_once_unless_the_queue_is_only_full(jobs, monkeypatch, capsys) -> None:
    made = jobs("7_0", "7_1")
    made.queue = {"7_0": Queued("PENDING", "Resources"), "7_1": Queued("PENDING", "QOSMaxWallDurationPerJobLimit")}
    first, second = made._open.values()
    passing(monkeypatch, lambda: None, lambda: None, lambda: first.end("success", 1), lambda: second.end("success", 1))
    made.wait()
    out = capsys.readouterr().out
    assert out.count("is pending, perhaps for ever") == 1 and "job 7_1 is pending, perhaps for ever: QOSMax" in out


def test_cancelling_waits_until_the_jobs_have_left(jobs, monkeypatch, capsys) -> None:
    made, cancelled = jobs("7_0", "7_1"), []
    monkeypatch.setattr(queued_jobs.slurm, "cancel", cancelled.extend)
    passing(monkeypatch, lambda: made.queue.pop("7_0"), lambda: made.queue.pop("7_1"))
    made.cancel()
    assert cancelled == ["7_0", "7_1"] and made.queue == {}
    assert "cancelling 2 jobs" in capsys.readouterr().out
    made.cancel()  # there is nothing left


def started(folder: Path, cache: Path, *arguments: str) -> Forked:
    if not importlib.util.find_spec("hydra_plugins") or not importlib.util.find_spec("submitit"):
        pytest.skip("submitit is not installed")
    root = str(Path(__file__).parents[2])
    line = (*SMOKE, "evaluate.every=0", f"cache={cache}", "-m", *arguments, "hydra/launcher=submitit_local")
    return Forked(train.main, folder, *line, "hydra.launcher.timeout_min=20", PYTHONPATH=root)


@pytest.mark.nightly
def test_failed_jobs_are_named_and_the_others_finish(tmp_path: Path, cache: Path) -> None:
    process = started(tmp_path, cache, "optimizer.schedule=constant", "learning_rate=1e30,1e-4,2e30")
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 1, output
    assert len(re.findall(r"^/.*learning_rate@[12]0.*: step .*not finite.*_log\.err\)$", output, re.MULTILINE)) == 2
    assert "submitted: 3 jobs" in output and "2 of 3 jobs failed" in output and "Traceback" not in output
    assert len(list(tmp_path.glob("outputs/*/SHA256SUMS"))) == 1


@pytest.mark.nightly
def test_jobs_end_with_the_process_that_launched_them(tmp_path: Path, cache: Path) -> None:
    process = started(tmp_path, cache, "F=T", "T=4000", "checkpoint_every=4000", "seed=0,1")
    end = time.monotonic() + 300
    while len(list(tmp_path.glob("outputs/*/metrics.jsonl"))) < 2:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM and "cancelling 2 jobs" in output and "Traceback" not in output
    assert len(list(tmp_path.glob("outputs/*/checkpoint/*.pt"))) == 2
