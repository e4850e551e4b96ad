"""Archives: written whole or not at all, no run twice, and nothing foreign or damaged is taken for a run."""

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.runtime.errors import RunError
from sweeps import archive as module
from sweeps.archive import Archive, whole_runs
from sweeps.finished import Finished
from tests.sweeps.example import run


def zipped(content: bytes) -> bytes:
    """Without the time, which would be part of a test's name and differ between the processes of pytest-xdist."""
    return gzip.compress(content, mtime=0)


ROOT = Path(__file__).parents[2]


def test_what_was_added_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "results" / "a.jsonl.gz"
    added = [run("a", config="1", seed=3), run("b", config="2", win_rate=None)]
    assert Archive(file).add(added) == added
    assert list(Archive(file).runs.values()) == added
    assert [json.loads(line)["run"] for line in gzip.decompress(file.read_bytes()).splitlines()] == ["a", "b"]


def test_each_batch_is_a_member_behind_the_old_bytes(tmp_path: Path) -> None:
    archive, contents = Archive(tmp_path / "a.jsonl.gz"), [b""]
    for number in range(3):
        archive.add([run(str(number), config=str(number))])
        contents.append(archive.file.read_bytes())
        assert contents[-1].startswith(contents[-2]) and len(contents[-1]) > len(contents[-2])
    assert [one.run for one in Archive(archive.file).runs.values()] == ["0", "1", "2"]


def test_no_run_is_there_twice_and_the_first_one_stays(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.jsonl.gz")
    archive.add([run("first"), run("again"), run("other seed", seed=1)])
    before = archive.file.read_bytes()
    assert archive.add([run("later", win_rate=0.1)]) == []
    assert archive.file.read_bytes() == before
    assert [(one.run, one.result["win_rate"]) for one in Archive(archive.file).runs.values()][0][1] == 0.6
    assert len(archive.runs) == 2


def test_of_two_lines_of_one_run_the_first_counts(tmp_path: Path) -> None:
    for name, rate in (("a", 0.6), ("b", 0.1)):
        Archive(tmp_path / name).add([run(name, win_rate=rate)])
    both = tmp_path / "both"
    both.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert [one.run for one in Archive(both).runs.values()] == ["a"]


def test_what_another_process_added_is_seen(tmp_path: Path) -> None:
    first, second = Archive(tmp_path / "a"), Archive(tmp_path / "a")
    first.add([run("1", config="1")])
    assert second.add([run("1", config="1"), run("2", config="2")]) == [run("2", config="2")]
    first.add([run("3", config="3")])
    assert [one.run for one in Archive(tmp_path / "a").runs.values()] == ["1", "2", "3"]


def add_twenty(file: Path, first: int) -> None:
    archive = Archive(file)
    for number in range(first, first + 20):
        archive.add([run(str(number), config=str(number))])


def test_processes_that_add_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    adding = [context.Process(target=add_twenty, args=(tmp_path / "a", 20 * number)) for number in range(3)]
    for process in adding:
        process.start()
    for process in adding:
        process.join(60)
    assert len(Archive(tmp_path / "a").runs) == 60


@pytest.mark.parametrize("moment", ["sync", "replace"])
def test_a_kill_in_the_middle_of_adding_leaves_the_old_archive(tmp_path: Path, moment: str) -> None:
    """SIGKILL while the new file is written, and when it is whole but has not replaced the old one."""
    file = tmp_path / "a.jsonl.gz"
    Archive(file).add([run("old", config="1")])
    before = file.read_bytes()
    code = f"""
import os, signal, pathlib
from sweeps import archive
from tests.sweeps.example import run
def die(*_):
    if {moment!r} == "sync":
        partial = pathlib.Path({str(tmp_path)!r}, ".a.jsonl.gz.partial")
        os.truncate(partial, partial.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "sync":
    archive.sync = die
else:
    pathlib.Path.replace = die
archive.Archive(pathlib.Path({str(file)!r})).add([run("new", config="2")])
"""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    process = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL
    assert file.read_bytes() == before
    assert (tmp_path / ".a.jsonl.gz.partial").exists()
    archive = Archive(file)
    archive.add([run("new", config="2")])
    assert [one.run for one in Archive(file).runs.values()] == ["old", "new"]
    assert not (tmp_path / ".a.jsonl.gz.partial").exists()


def test_a_file_cut_anywhere_is_refused_and_its_whole_members_can_be_saved(tmp_path: Path) -> None:
    archive, sizes = Archive(tmp_path / "a.jsonl.gz"), [0]
    for number in range(3):
        archive.add([run(str(number), config=str(number))])
        sizes.append(archive.file.stat().st_size)
    content = archive.file.read_bytes()
    for size in range(1, len(content)):
        archive.file.write_bytes(content[:size])
        runs, problem = whole_runs(archive.file)
        whole = sum(end <= size for end in sizes[1:])
        assert len(runs) == whole
        if size in sizes:
            assert problem == "" and len(Archive(archive.file).runs) == whole
            continue
        assert f"cut off after {whole} runs" in problem
        with pytest.raises(RunError, match=r"put back a whole copy.*sweeps\.keep NEW"):
            Archive(archive.file)


def test_no_flipped_byte_makes_another_run(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.jsonl.gz")
    archive.add([run("a")])
    content, good = archive.file.read_bytes(), list(archive.runs.values())
    for place in range(len(content)):
        archive.file.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        runs, problem = whole_runs(archive.file)
        # The header's time, extra flags and system change nothing.
        assert problem or (runs == good and place < 10), place
        assert runs in ([], good)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not gzip at all\n", "it is not gzip"),
        (b'{"run": "a", "settings": {}, "rows": []}\n', "it is not gzip"),
        (zipped(b"no json\n"), r"line 1: no finished run \(no JSON\)"),
        (zipped(b"\xff\xfe\n"), r"line 1: no finished run \(no JSON\)"),
        (zipped(b"[" * 100_000 + b"\n"), r"line 1: no finished run \(no JSON\)"),
        (zipped(b"3\n"), "not run, settings and rows"),
        (zipped(b'{"prompt": "a", "label": "b"}\n'), "not run, settings and rows"),
        (zipped(b'{"run": 1, "settings": {}, "rows": []}\n'), "another type"),
        (zipped(b'{"run": "a", "settings": {}, "rows": []}\n'), "no result rows"),
        (zipped(b'{"run": "a", "settings": {}, "rows": [1]}\n'), "no result rows"),
        (zipped(b'{"run": "a", "settings": {}, "rows": [{"step": 1}]}\n'), "config_hash, seed, T missing"),
    ],
)
def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(content)
    with pytest.raises(RunError, match=message):
        Archive(file)
    assert file.read_bytes() == content


def test_damage_that_comes_later_stops_adding(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.jsonl.gz")
    archive.add([run("a")])
    cut = archive.file.read_bytes()[:-3]
    archive.file.write_bytes(cut)
    with pytest.raises(RunError, match="cut off"):
        archive.add([run("b", config="2")])
    assert archive.file.read_bytes() == cut


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_file_is_an_archive_without_runs(tmp_path: Path, exists: bool) -> None:
    file = tmp_path / "a.jsonl.gz"
    if exists:
        file.write_bytes(b"")
    assert Archive(file).runs == {}
    assert len(Archive(file).add([run()])) == 1


def test_a_folder_in_the_place_of_an_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        Archive(tmp_path)


def test_thousands_of_runs_are_read_once_and_never_compressed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(tmp_path / "a.jsonl.gz")
    archive.add([run(f"run {number}", config=str(number)) for number in range(3000)])
    read, compressed = [], []
    monkeypatch.setattr(module, "whole_runs", lambda file: read.append(file) or whole_runs(file))
    compress = gzip.compress
    monkeypatch.setattr(
        module.gzip, "compress", lambda text, **kwargs: compressed.append(len(text)) or compress(text, **kwargs)
    )
    for number in range(3000, 3200):
        archive.add([run(f"run {number}", config=str(number))])
    assert read == [] and max(compressed) < 1000
    assert len(Archive(archive.file).runs) == 3200
    assert archive.file.stat().st_size < 200_000


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a.jsonl.gz")
    Archive(tmp_path / "link").add([run()])
    assert (tmp_path / "link").is_symlink() and len(Archive(tmp_path / "a.jsonl.gz").runs) == 1


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "a.jsonl.gz")
    with pytest.raises(ValueError, match="not JSON compliant"):
        archive.add([Finished("a", {}, [run().result | {"loss": float("nan")}])])
    assert not archive.file.exists() and archive.runs == {}
