"""Commands of src.evaluate: what is refused before a model is loaded."""

import shutil
from pathlib import Path

import pytest
import yaml

from src.after_training.evaluate_request import read_evaluate_request
from src.cli.read_config import read_config
from src.evaluate import main
from src.storage.checksums import write_sums
from tests.commands import called

pytestmark = pytest.mark.slow


def test_what_only_training_needed_may_be_gone(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["reference"] = {"_target_": "src.references.gold.Gold", "path": "/gone"}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(settings))
    write_sums(tmp_path / "run")
    assert read_config(settings)[0] is None
    assert read_evaluate_request([f"policy={tmp_path / 'run'}"]).base == str(tmp_path / "run" / "policy")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["expected policy=PATH or responses=FILE, got neither"]),
        ("policy={run} responses={txt}", ["got both"]),
        ("policy={run} policy={run}", ["policy is given twice"]),
        ("policy=", ["a value is missing"]),
        ("policy=/nowhere", ["policy=/nowhere: no such folder"]),
        ("policy={data}", ["no policy there; expected a run's folder"]),
        ("policy={unfinished}", ["that run is not finished"]),
        ("polcy={run}", ["did you mean policy?"]),
        ("policy={run} ++sed=1 loss=ipo", ["++sed=1: no such key; did you mean seed", "loss=ipo: a key of src.train"]),
        ("policy={run} F=4 judge=golden", ["F=4: a key of src.train that means nothing", "did you mean gold?"]),
        ("policy={run} seed=0,1", ["seed=0,1: one value only"]),
        ("policy={run} hydra.run.dir=x", ["this command is not run by Hydra"]),
        ("policy={run} seed=-1 device=tpu", ["configuration of {run}: seed=-1", "device=tpu: expected"]),
        ("policy={run} cache=a=b", ["in a value quoted: \"cache='a=b'\""]),
        ("policy={run} -m", ["-m: this command takes key=value only"]),
        ("policy={run} split=tst", ["split=tst: no such split; did you mean test?"]),
        ("policy={run} split=train", ["split=train: no such split"]),
        ("policy={run} judge.temperature=1", ["a judge compares exactly"]),
        ("responses={txt} data.train=9 data.test=7", ["got 2 responses, and test has 7 rows; expected as many"]),
        ("responses={txt} against=/nowhere.txt", ["against=/nowhere.txt: no such file"]),
        ("responses={torn} data.tset=3", ["line 1: Unterminated string", "did you mean data.test"]),
        ("responses={txt} task=harmlessness", ["the embedded data has tldr, helpfulness"]),
        ("responses={txt} results={data}", ["that is a folder"]),
        ("responses={txt} results={run}/results.jsonl", ["is a run's folder and holds its own results"]),
        ("responses={txt} samples={txt}", ["that file is read or written already"]),
        ("responses={txt} samples=/a.jsonl results=/a.jsonl", ["that file is read or written already"]),
        ("responses={txt} results={torn}", ["its last row is torn"]),
        (
            "responses={txt} results={txt}/r.jsonl samples={torn}/new/s.jsonl",
            ["results={txt}/r.jsonl: {txt} is a file", "samples={torn}/new/s.jsonl: {torn} is a file"],
        ),
    ],
)
def test_every_problem_is_named_and_nothing_is_written(
    arguments: str, expected: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("src.after_training.load_policy.load_model", lambda *_: pytest.fail("a model was loaded"))
    (tmp_path / "out.txt").write_text("x\ny\n")
    (tmp_path / "torn.jsonl").write_text('{"response": "x')
    (tmp_path / "unfinished").mkdir()
    shutil.copy(run / "identity.json", tmp_path / "unfinished")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    names = {
        "run": run, "txt": tmp_path / "out.txt", "torn": tmp_path / "torn.jsonl", "data": tmp_path,
        "unfinished": tmp_path / "unfinished",
    }  # fmt: skip
    said = str(called(main, *arguments.format(**names).split()))
    assert said.startswith("error: ") and "nothing was started or written" in said
    for text in expected:
        assert text.format(**names) in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
