"""Rows of every format, and what is said of files and rows that are damaged."""

import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from src.runtime.errors import ConfigError
from tests.data import hub_sets
from tests.data.hub_data import plain
from tests.data.hub_sets import write


def test_dates_numbers_and_missing_values_stay_the_text_they_are(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"2020-01-{n + 1:02}", "completion": text}
        for n, text in enumerate(["007", "NA", "null", "1e3", "a\n\nb, c"])
    ]
    for name in ("a/train.jsonl", "b/train.csv"):
        write(tmp_path / name, rows)
        data = replace(plain(tmp_path / name[0]), validation=1, test=None)
        splits = data.load("any")
        assert {row.label for row in [*splits.train, *splits.validation]} == {row["completion"] for row in rows}


BAD: dict[str, object] = {
    "'completion' is null": {"prompt": "a", "completion": None},
    "'prompt' is int": {"prompt": 3, "completion": "b"},
    "'completion' is list": {"prompt": "a", "completion": ["b"]},
    "'prompt' is empty": {"prompt": " \n", "completion": "b"},
    "'completion' is empty": {"prompt": "a", "completion": ""},
    "no column 'completion', only 'prompt', 'summary' (data.label_column names it)": {"prompt": "a", "summary": "b"},
    "expected a JSON object": ["a"],
    "half of a surrogate pair": '{"prompt": "a \\ud83d", "completion": "b"}',
    "Expecting": '{"prompt": "a"',
    "codec can't decode": b'{"prompt": "caf\xe9", "completion": "b"}',
}


@pytest.mark.parametrize("said", BAD)
@pytest.mark.parametrize("packed", [False, True])
def test_malformed_lines_are_named(tmp_path: Path, said: str, packed: bool) -> None:
    row = BAD[said]
    bad = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
    good = json.dumps(hub_sets.tldr([1])[0]).encode()
    text = b"\n".join([good, b"", bad, good])
    file = tmp_path / ("train.jsonl.gz" if packed else "train.jsonl")
    file.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(ConfigError) as caught:
        plain(tmp_path).load("any")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file}, line 3: ") and said in problem


def test_malformed_rows_of_all_files_are_told_at_once_and_not_all_of_them(tmp_path: Path) -> None:
    empty = {"prompt": "a", "completion": None}
    write(tmp_path / "train.parquet", [*hub_sets.tldr(range(2)), *[empty] * 9])
    write(tmp_path / "test.parquet", [empty, *hub_sets.tldr(range(2))])
    with pytest.raises(ConfigError) as caught:
        replace(plain(tmp_path), test_split="test").load("any")
    problems = caught.value.problems
    assert len(problems) == 7
    assert problems[0] == f"{tmp_path}/train.parquet, row 3: 'completion' is null, expected text"
    assert problems[5] == f"{tmp_path}/train.parquet: 4 more rows like these"
    assert problems[6].startswith(f"{tmp_path}/test.parquet, row 1: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,completion\na,b\nc,d,e\n", "row 2: 3 fields, and the header has 2"),
        ("prompt,completion\na\n", "row 1: 1 fields, and the header has 2"),
        ("prompt,completion\na,\n", "row 1: 'completion' is empty"),
        ("prompt,label\na,b\n", "row 1: no column 'completion', only 'prompt', 'label'"),
        ('prompt,completion\na,"b\n', "cannot be read"),
    ],
)
def test_malformed_csv_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(ConfigError, match=f"train.csv[,:] .*{said}"):
        plain(tmp_path).load("any")


@pytest.mark.parametrize("name", ["train.parquet", "train.jsonl.gz", "train.csv.gz"])
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither this nor that")
    with pytest.raises(ConfigError, match=f"{name}: cannot be read"):
        plain(tmp_path).load("any")


def test_a_file_cut_off(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl.gz", hub_sets.tldr(range(30)))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ConfigError, match="train.jsonl.gz: cannot be read"):
        plain(tmp_path).load("any")


def test_a_file_with_damage_inside(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl.gz", hub_sets.tldr(range(30)))
    content = bytearray(file.read_bytes())
    # Every block of deflate may not be there: what comes of it is zlib's own error.
    content[10:26] = b"\xff" * 16
    file.write_bytes(content)
    with pytest.raises(zlib.error):
        gzip.decompress(content)
    with pytest.raises(ConfigError, match="train.jsonl.gz: cannot be read"):
        plain(tmp_path).load("any")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    with pytest.raises(ConfigError, match="no rows in the split train"):
        plain(tmp_path).load("any")
