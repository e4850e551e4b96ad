"""Runs that are not finished: on the page with what they have, in no figure; and followed until they are finished."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.aggregate import main
from analysis.running import is_finished, progress_of, read_begun
from analysis.runs import Run, read_folders, read_run
from analysis.shown import placed
from analysis.watch import follow, state_of
from tests.analysis.made_runs import IDENTITY, make_run, rows, write_rows

FAST = ("--reps", "200")


def begin(folder: Path, steps: int = 5, evaluations: int = 1, **changes: object) -> Path:
    """A run that has taken a few steps."""
    make_run(folder, samples=2, **changes)
    identity = IDENTITY | {"run_id": folder.name, "config_hash": folder.name} | changes
    (folder / "identity.json").write_text(json.dumps(identity))
    write_rows(folder, rows(**{"run_id": folder.name, "config_hash": folder.name, **changes})[:evaluations])
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:steps]) + '{"torn')
    return folder


def test_an_unfinished_run_says_how_far_it_is(tmp_path: Path) -> None:
    folder = begin(tmp_path / "a", steps=5, seed=3)
    runs, skipped = read_folders([tmp_path])
    assert runs == [] and [one.folder for one in skipped] == [folder]
    run = read_begun(folder)
    assert run is not None and not is_finished(run) and progress_of(run) == "unfinished: step 5 of 64"
    assert run.row["seed"] == 3 and [row["step"] for row in run.evaluations] == [0]
    (folder / "identity.json").write_text("{}")
    assert read_begun(folder) is None
    (folder / "identity.json").unlink()
    assert read_begun(folder) is None


def test_it_stands_with_the_runs_that_it_could_be_compared_with(tmp_path: Path) -> None:
    read = [read_run(make_run(tmp_path / name, T=T)) for name, T in (("short", 32), ("long", 64))]
    studies = [[run] for run in read if isinstance(run, Run)]
    begun = [read_begun(begin(tmp_path / f"begun {T}", T=T, seed=1, evaluations=0)) for T in (16, 64, 32)]
    assert [(one.study, one.run.row["T"]) for one in placed([run for run in begun if run], studies)] == [
        (1, 32), (2, 64), (3, 16),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_page_has_its_curves_and_responses_and_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path / "runs" / "going on", evaluations=2)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *FAST])
    assert "0 runs, 1 unfinished run, 0 figures: " in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "unfinished: step 5 of 64" in page and "no run is finished" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    [curves], [run] = data["curves"], data["runs"]
    assert "loss" in curves["series"] and run["state"] == "unfinished: step 5 of 64"
    make_run(tmp_path / "runs" / "finished", seed=1)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *FAST])
    assert "1 run not finished" in (tmp_path / "out" / "report.html").read_text()


def test_runs_are_followed_until_they_are_finished(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    finished = make_run(tmp_path / "elsewhere" / "run")
    calls, waits = [], []

    def analyse() -> int:
        calls.append(state_of([tmp_path / "run"]))
        return sum(not isinstance(read_run(one), Run) for one in (folder,))

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            with (folder / "metrics.jsonl").open("a") as file:
                file.write("more")
        if len(waits) == 3:
            shutil.rmtree(folder)
            shutil.copytree(finished, folder)

    follow(analyse, [tmp_path / "run"], wait)
    assert len(calls) == 3 and len(waits) == 3, "nothing is done again before a file has changed"


def test_until_there_is_a_run_the_reason_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from analysis.errors import AnalysisError

    results: list[int | None] = [None, 0]

    def analyse() -> int:
        result = results.pop(0)
        if result is None:
            raise AnalysisError(["no finished run"])
        return result

    follow(analyse, [tmp_path], lambda _: (tmp_path / "identity.json").write_text("x") and None)
    assert "no finished run" in capsys.readouterr().err and results == []
