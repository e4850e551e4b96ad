import json
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from benchmarks import gpu
from benchmarks.acceptance import Measurement
from benchmarks.gpu import finished, read_command, result_of, run, show
from src.runtime.errors import ConfigError


def commands(monkeypatch: pytest.MonkeyPatch, *made: Measurement) -> None:
    monkeypatch.setattr(gpu, "measurements", lambda *_: list(made))


def script(section: str, code: str, limit: float = 60.0, json: Path | None = None) -> Measurement:
    return Measurement(section, "tried", ("-c", code), json, limit)


def test_everything_wrong_with_a_command_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        read_command(["sections=step,speed", "shapes=gpt5", "seconds=0", "device=tpu", "stray"])
    text = str(error.value)
    for part in ("sections=speed", "shapes=gpt5", "seconds=0", "device=tpu", "stray", "out: expected out=DIR"):
        assert part in text


def test_other_keys_are_the_grids(tmp_path: Path) -> None:
    command = read_command([f"out={tmp_path}/a", "device=cpu", "seed=3", "F=2", "sections=grid"])
    assert command.grid == ("seed=3", "F=2") and command.sections == ("grid",) and command.out == tmp_path / "a"


def test_results_are_written_as_they_come_and_a_cut_command_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.json"
    wrote = f"open({str(file)!r}, 'w').write('{{\"ratio_generate\": 4.5}}')"
    written_before = str(tmp_path / "out" / "step.json")
    look = f"import json; assert json.load(open({written_before!r}))['measurements']; print('3 passed in 1s')"
    commands(
        monkeypatch,
        script("step", "import sys; print('no memory'); sys.exit(7)"),
        script("correctness", look),
        script("sampling", wrote, json=file),
        script("round", "import time; time.sleep(60)", limit=6.0),
    )
    monkeypatch.setattr(gpu, "write_base", lambda folder, *_: folder.mkdir())
    started = time.perf_counter()
    records = run(read_command([f"out={tmp_path}/out", "device=cpu"]), Console(quiet=True))
    assert time.perf_counter() - started < 50
    assert {section: record["status"].split(" ")[0] for section, (record,) in records.items()} == {
        "step": "failed", "correctness": "done", "sampling": "done", "round": "ended",
    }  # fmt: skip
    assert "no memory" in records["step"][0]["printed"]
    assert records["correctness"][0]["result"]["passed"] == 3
    written = json.loads((tmp_path / "out" / "sampling.json").read_text())
    assert written["measurements"][0]["result"] == {"ratio_generate": 4.5}
    assert written["machine"]["versions"]["torch"] and written["device"] == "cpu"
    with Console(width=160, record=True, file=open("/dev/null", "w")) as console:
        show(records, console)
    table = console.export_text()
    assert "failed (7)" in table and "4.5" in table and "ended after" in table


def test_no_command_is_begun_without_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands(monkeypatch, script("correctness", "raise SystemExit(1)"))
    command = read_command([f"out={tmp_path}/out", "device=cpu", "seconds=1"])
    [record] = run(command, Console(quiet=True))["correctness"]
    assert record["status"] == "not begun: no seconds left"


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_command_that_is_ended_takes_its_children_along(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo $$; sleep 99'])"
    with (tmp_path / "log").open("wb") as log:
        status, seconds = finished(script("step", child), 5.0, log)
    assert status is None and seconds < 60
    pid = int((tmp_path / "log").read_text().splitlines()[-1])
    ended = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not _runs(pid)


@pytest.mark.parametrize(
    ("last", "passed", "failed"),
    [
        ("17 passed, 3 deselected in 12.10s", 17, 0),
        ("2 failed, 5 passed, 1 error in 3.00s", 5, 2),
        ("no such file", 0, 0),
    ],
)
def test_the_counts_of_pytest_are_read(last: str, passed: int, failed: int, tmp_path: Path) -> None:
    result = result_of(script("correctness", ""), f"....\n{last}\n", tmp_path)
    assert (result["passed"], result["failed"]) == (passed, failed)


@pytest.mark.nightly
def test_the_whole_at_toy_size(tmp_path: Path) -> None:
    command = read_command(
        [f"out={tmp_path}/out", "device=cpu", "shapes=toy", "seconds=900", "seed=0", "experiment=bpo_f2", "task=tldr",
         "T=2", "batch_size=4", "data.train=300", "data.validation=20", "data.test=20", "model.sft.steps=4",
         "evaluate.every=0", "checkpoint_every=2"]
    )  # fmt: skip
    records = run(command, Console(quiet=True))
    assert {record["status"] for measured in records.values() for record in measured} == {"done"}
    assert records["correctness"][0]["result"]["passed"] > 10
    assert records["grid"][0]["result"]["runs"] == 1
    assert records["sampling"][0]["result"]["ratio_generate"] > 0
