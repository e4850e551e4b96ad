"""Which files `data=files` and `data=hub` read: any format, any path as it stands, one file that is split here."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from src.data.files import FilesData, divided_by_prompt
from src.records import Row
from src.runtime.errors import ConfigError
from tests.data.hub_data import configured

# Each of them means something to a shell, to glob, to fsspec, to Hydra or to a terminal.
NAMES = [
    "set[12]", "a?c", "st*r", "[!a]", "{a,b}", "a::b", "hub::x", "file:", "a b", "~a", "a~", "#a", "50%", "%41", "a&b",
    "$HOME", "`a`", "a\\b", "'a'", '"a"', "a;b", "a=b", "a,b", "(a)", "!a", "-a", "ü漢🎉", "two\nlines", "a\tb", "**",
]  # fmt: skip


def data(path: Path | str, **changes: object) -> FilesData:
    fields = {"split": None, "prompt_column": "prompt", "label_column": "label", "chosen_column": None}
    others = {"rejected_column": None, "shared_prompts": "drop"}
    return FilesData(path=str(path), **(fields | others | changes))  # type: ignore[arg-type]


def lines(*prompts: str) -> str:
    return "".join(json.dumps({"prompt": prompt, "label": f"label of {prompt}"}) + "\n" for prompt in prompts)


def write(folder: Path, word: str) -> Path:
    """A folder whose rows name it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text(lines(f"{word} 1", f"{word} 2"))
    (folder / "validation.jsonl").write_text(lines(f"{word} 3"))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_no_pattern(tmp_path: Path, name: str) -> None:
    """Beside the folder stand all that its name would match as a pattern, with other rows."""
    folder = write(tmp_path / name, "here")
    for other in ("set1", "set2", "abc", "star", "string", "b", "a", "A", "x", "50"):
        write(tmp_path / other, "elsewhere")
    assert {row.prompt for row in data(folder).load("tldr").train} == {"here 1", "here 2"}
    if not set(name) & set("[*?{:\n"):
        return  # nothing to `datasets`, which takes seconds
    hub = configured("hub_tldr", folder, test_split=None, test=None, label_column="label")
    for source in (hub, replace(hub, path=str(tmp_path), data_dir=name)):
        assert source.problems("tldr") == []
        assert {row.prompt for row in source.load("tldr").train} == {"here 1", "here 2"}


@pytest.mark.parametrize(
    "name", ["train[1].jsonl", "train*.jsonl", "train-{a}.jsonl", "train 1::2.jsonl", "train\n.jsonl"]
)
def test_a_files_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    write(tmp_path, "here")
    (tmp_path / "train.jsonl").rename(tmp_path / name)
    (tmp_path / "other").mkdir()
    hub = configured("hub_tldr", tmp_path, test_split=None, test=None, label_column="label")
    assert {row.prompt for row in hub.load("tldr").train} == {"here 1", "here 2"}
    (tmp_path / "validation.jsonl").unlink()
    splits = data(tmp_path / name, split=[0.5, 0.5])._read()[0]
    assert {row.prompt for rows in splits.values() for row in rows} == {"here 1", "here 2"}


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "rows", "here")
    assert len(data("~/rows").load("tldr").train) == 2


def test_a_linked_folder_of_the_hubs_set_is_read(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "here")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "data" / "back").symlink_to(tmp_path / "set")
    hub = configured("hub_tldr", tmp_path / "set", test_split=None, test=None, label_column="label")
    assert len(hub.load("tldr").train) == 2


def test_two_files_of_one_split_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "here")
    (tmp_path / "train.csv").write_text("prompt,label\na,b\n")
    [problem] = data(tmp_path).problems("tldr")
    assert problem == f"{tmp_path}: train.csv and train.jsonl are all of the split train; expected one file of it"
    hub = configured("hub_tldr", tmp_path, test_split=None, test=None, label_column="label")
    with pytest.raises(ConfigError, match=r"train\.\w+ and train\.\w+ are both of the split train"):
        hub.load("tldr")


def test_a_split_of_another_format_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, "here")
    (tmp_path / "test.csv.gz").write_bytes(b"")
    assert "test.csv.gz: " in data(tmp_path).problems("tldr")[0]
    (tmp_path / "test.csv.gz").rename(tmp_path / "TEST.CSV")
    (tmp_path / "TEST.CSV").write_text("prompt,label\nlast,b\n")
    assert data(tmp_path).load("tldr").test == [Row("last", "b")]


def test_a_file_of_an_unknown_format_is_named(tmp_path: Path) -> None:
    write(tmp_path, "here")
    (tmp_path / "train.jsonl").rename(tmp_path / "train.jsonl.zst")
    [problem] = data(tmp_path).problems("tldr")
    assert "train.jsonl: no such file, only train.jsonl.zst; data=files needs" in problem and ".csv" in problem


# One file ------------------------------------------------------------------------------------------------------------


def one_file(folder: Path, count: int = 200) -> Path:
    file = folder / "rows.jsonl"
    file.write_text(lines(*(f"prompt {number}" for number in range(count))))
    return file


def test_one_file_is_split_by_shares(tmp_path: Path) -> None:
    file = one_file(tmp_path)
    splits = data(file, split=[0.8, 0.1, 0.1]).load("tldr").named()
    sizes = {name: len(rows) for name, rows in splits.items()}
    assert sum(sizes.values()) == 200 and 140 <= sizes["train"] <= 180 and min(sizes.values()) >= 8
    assert data(tmp_path, split=[0.8, 0.1, 0.1]).load("tldr").named() == splits
    two = data(file, split=[0.5, 0.5]).load("tldr")
    assert two.test is None and 70 <= len(two.validation) <= 130


def test_the_split_of_a_row_depends_on_its_prompt_alone() -> None:
    rows = [Row(f"prompt {number}", "a") for number in range(300)]
    split_of = {row.prompt: name for name, part in divided_by_prompt(rows, [0.6, 0.2, 0.2]).items() for row in part}
    shuffled = random.Random(0).sample(rows[:200], 200) + [Row(f"new {number}", "b") for number in range(500)]
    for name, part in divided_by_prompt(shuffled, [0.6, 0.2, 0.2]).items():
        assert all(split_of.get(row.prompt, name) == name for row in part)


def test_rows_with_one_prompt_are_in_one_split(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("prompt,label\n" + "".join(f" prompt {n % 50} ,label {n}\n" for n in range(500)))
    named = data(file, split=[0.6, 0.2, 0.2], shared_prompts="refuse").rows("tldr").named()
    prompts = [{row.prompt for row in rows} for rows in named.values()]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 50
    assert sum(map(len, named.values())) == 500


@pytest.mark.parametrize("split", [[0.8], [0.8, 0.1], [0.9, 0.2], [1.0, 0.0], [0.8, 0.3, -0.1], [0.25] * 4, []])
def test_shares_that_are_none_are_refused(tmp_path: Path, split: list[float]) -> None:
    with pytest.raises(ValueError, match="above 0, and 1 in sum, such as"):
        data(one_file(tmp_path), split=split)


def test_what_split_cannot_serve_is_refused_by_name(tmp_path: Path) -> None:
    file = one_file(tmp_path, 2)
    assert "is one file: add data.split=[0.8,0.1,0.1]" in data(file).problems("tldr")[0]
    assert any("leaves no prompt of" in line for line in data(file, split=[0.1, 0.1, 0.8]).problems("tldr"))
    (tmp_path / "notes.txt").write_text("notes")
    assert "expected .jsonl, " in data(tmp_path / "notes.txt", split=[0.5, 0.5]).problems("tldr")[0]
    (tmp_path / "more.csv").write_text("prompt,label\na,b\n")
    [problem] = data(tmp_path, split=[0.5, 0.5]).problems("tldr")
    assert "expected one file of rows, got more.csv, rows.jsonl" in problem
