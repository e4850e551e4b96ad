"""Archives of result rows in place of folders."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from analysis import aggregate
from analysis.archive import read_archive
from analysis.errors import AnalysisError
from analysis.runs import flattened, read_folders
from tests.analysis.made_runs import make_run, make_sweep


def zipped(content: bytes) -> bytes:
    """Without the time, which would be part of a test's name and differ between the processes of pytest-xdist."""
    return gzip.compress(content, mtime=0)


def archive(file: Path, *folders: Path) -> Path:
    """Writes the runs of folders as sweeps.keep does, a gzip member per run."""
    with file.open("ab") as stream:
        for folder in folders:
            rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
            settings = dict(flattened(yaml.safe_load((folder / "config.yaml").read_text())))
            line = json.dumps({"run": folder.name, "settings": settings, "rows": rows}) + "\n"
            stream.write(gzip.compress(line.encode()))
    return file


def test_a_run_of_an_archive_is_that_of_its_folder_without_the_folder(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "outputs" / "a", wins=130, learning_rate=1e-3, seed=3)
    [run], [] = read_folders([archive(tmp_path / "fig1.jsonl.gz", folder)])
    [same], _ = read_folders([tmp_path / "outputs"])
    assert (run.row, run.evaluations) == (same.row, same.evaluations)
    assert {key: value for key, value in run.settings.items() if key != "seed"} == same.settings
    assert run.folder is None and run.where == "fig1.jsonl.gz: a"


def test_a_run_in_a_folder_and_in_archives_counts_once(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / "outputs" / name, seed=seed) for seed, name in enumerate("abc")]
    both = [archive(tmp_path / "1.jsonl.gz", *folders[:2]), archive(tmp_path / "2.jsonl.gz", *folders[1:])]
    runs, _ = read_folders(both)
    assert [run.where for run in runs] == ["1.jsonl.gz: a", "1.jsonl.gz: b", "2.jsonl.gz: c"]
    for places in ([*both, folders[1]], [folders[1], *both]):
        runs, _ = read_folders(places)
        assert [run.where for run in runs] == [str(folders[1]), "1.jsonl.gz: a", "2.jsonl.gz: c"]


def test_another_result_of_the_same_job_is_not_taken_for_the_same_run(tmp_path: Path) -> None:
    """The grid then refuses both by name."""
    file = archive(tmp_path / "1.jsonl.gz", make_run(tmp_path / "outputs" / "a", wins=120))
    make_run(tmp_path / "again" / "a", wins=121)
    runs, _ = read_folders([tmp_path / "again", file])
    assert len(runs) == 2


def test_runs_that_are_unfinished_or_damaged_are_left_out_by_name(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    lines = (folders[0] / "results.jsonl").read_text().splitlines(keepends=True)
    (folders[0] / "results.jsonl").write_text("".join(lines[:-1]))
    (folders[1] / "results.jsonl").write_text("")
    text = (folders[2] / "results.jsonl").read_text()
    (folders[2] / "results.jsonl").write_text(text.replace('"win_rate": 0.6', '"win_rate": 0.9'))
    runs, skipped = read_folders([archive(tmp_path / "x.jsonl.gz", *folders)])
    assert runs == [] and [run.where for run in skipped] == [f"x.jsonl.gz: {name}" for name in "abc"]
    assert skipped[0].why.startswith("unfinished") and skipped[1].why.startswith("unfinished")
    assert "a row of the archive is not one of this project's: win_rate is 0.9" in skipped[2].why


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text\n", "that is a file, and no archive"),
        (zipped(b'{"prompt": "a"}\n'), "line 1: no run"),
        (zipped(b"[1]\n"), "line 1: no run"),
        (zipped(b"\xff\n"), "line 1: no run"),
        (zipped(b"[" * 100_000 + b"\n"), "line 1: no run"),
        (zipped(b'{"run": "a", "settings": [], "rows": []}\n'), "line 1: no run"),
    ],
)
def test_a_foreign_file_stops_the_analysis(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(content)
    with pytest.raises(AnalysisError, match=message):
        read_folders([file])


def test_a_damaged_archive_stops_the_analysis_wherever_the_damage_is(tmp_path: Path) -> None:
    """Read in part, an archive would give a result without some of its runs."""
    file = archive(tmp_path / "a.jsonl.gz", make_run(tmp_path / "a"))
    content = file.read_bytes()
    for size in range(1, len(content)):
        file.write_bytes(content[:size])
        with pytest.raises(AnalysisError):
            read_archive(file)
    for place in range(10, len(content), 7):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with pytest.raises(AnalysisError):
            read_archive(file)


def test_an_empty_archive_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"")
    assert read_folders([tmp_path / "a.jsonl.gz"]) == ([], [])


def test_thousands_of_runs_are_read(tmp_path: Path) -> None:
    line = gzip.decompress(archive(tmp_path / "a.jsonl.gz", make_run(tmp_path / "a")).read_bytes()).decode()
    many = "".join(line.replace('"config_hash": "a"', f'"config_hash": "{number}"') for number in range(2000))
    (tmp_path / "many.jsonl.gz").write_bytes(gzip.compress(many.encode()))
    assert len(read_folders([tmp_path / "many.jsonl.gz", tmp_path / "a.jsonl.gz"])[0]) == 2001


def test_the_tables_of_an_archive_are_those_of_its_folders(tmp_path: Path) -> None:
    make_sweep(tmp_path / "outputs", seeds=range(3))
    file = archive(tmp_path / "a.jsonl.gz", *sorted((tmp_path / "outputs").iterdir()))
    options = ["--figures", "fig1", "--reps", "200", "--out"]
    aggregate.main([str(tmp_path / "outputs"), *options, str(tmp_path / "1")])
    aggregate.main([str(file), *options, str(tmp_path / "2")])
    aggregate.main([str(file), str(tmp_path / "outputs"), *options, str(tmp_path / "3")])
    for table in ("fig1.csv", "results.csv"):
        first = (tmp_path / "1" / "tables" / table).read_bytes()
        assert (tmp_path / "2" / "tables" / table).read_bytes() == first
        assert (tmp_path / "3" / "tables" / table).read_bytes() == first
