"""python -m src.verify: what it prints, its exit status, and the runs that it cannot read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from src.verify import main
from tests.after_training.checks.changed import rewritten, set_in
from tests.commands import called


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    """With a noisy oracle, an evaluation on the way, rounds of unequal size."""
    overrides = ("T=3", "oracle.temperature=1.0", "oracle.flip=0.2", "evaluate.every=1")
    return finished_run("F=2,seed=0", *overrides)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_the_command_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(main, run) is None
    said = capsys.readouterr().out
    assert "agrees       win_rate" in said and "41 agree, 0 differ, 1 not checked" in said
    assert not list(run.glob(".*partial"))


def test_runs_that_cannot_be_read_are_named(copy: Path, tmp_path: Path) -> None:
    assert "expected the folder of a finished run" in str(called(main))
    assert "no such folder" in str(called(main, tmp_path / "nowhere"))
    assert "rerun=yes: expected true or false" in str(called(main, copy, "rerun=yes"))
    assert "no run there" in str(called(main, tmp_path))
    for file in ("results.jsonl", "samples.jsonl", "pairs/round_000.jsonl", "config.yaml", "identity.json"):
        whole = (copy / file).read_bytes()
        for torn in (b"{\n", b"[1]\n", b"3\n", b'{"a": 1}\n', b"\xff\xfe\n", b"", b"a: [\n"):
            (copy / file).write_bytes(torn)
            said = str(called(main, copy))
            assert said.startswith("error: ") and str(copy) in said or said == "1", (file, torn, said)
        (copy / file).write_bytes(whole)
    rewritten(copy / "results.jsonl", lambda rows: rows.pop())
    assert "is not finished" in str(called(main, copy))


def test_the_exit_status_is_0_only_where_nothing_differs(run: Path, copy: Path) -> None:
    assert called(main, run, run) is None
    rewritten(copy / "metrics.jsonl", lambda rows: rows.pop())
    assert called(main, run, copy) == "1" == called(main, copy, run)


def test_a_plan_that_was_changed_is_named(copy: Path) -> None:
    rewritten(copy / "pairs" / "plan_000.json", set_in(0, "annotated", 5))
    assert f"{copy / 'pairs' / 'plan_000.json'} is damaged" in str(called(main, copy))
