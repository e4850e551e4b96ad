import json
import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.storage.files import (
    append_rows,
    dump_row,
    keep_rows,
    local_path,
    new_folder,
    read_rows,
    unwritable,
    write_text,
)
from tests.properties import quick

UNWRITABLE = "half of a surrogate pair: \ud83d"  # has no UTF-8, so writing it fails half-way


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_makes_folders_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "first\n")
    write_text(path, "ü, second\n")
    assert path.read_bytes() == "ü, second\n".encode()
    assert names(path.parent) == ["file.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new" * 10_000 + UNWRITABLE)
    assert path.read_text() == "old"
    write_text(path, "newer")
    assert path.read_text() == "newer"
    assert names(tmp_path) == ["file.txt"]


def test_where_no_file_can_be_written_is_known_before():
    """As nobody where the tests run as root, who may write anywhere."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as place:
        mine, shut = Path(place) / "mine", Path(place) / "shut"
        for folder, mode in ((Path(place), 0o755), (mine, 0o777), (shut, 0o555)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        (mine / "kept").write_text("")
        (mine / "kept").chmod(0o444)
        if root:
            os.seteuid(65534)
        try:
            assert unwritable(mine / "new") == unwritable(mine / "new" / "deep" / "new") == ""
            assert unwritable(mine / "kept") == "no right to write to it"
            assert unwritable(mine / "kept" / "new") == f"{mine / 'kept'} is a file"
            for file in (shut / "new", shut / "new" / "new"):
                assert unwritable(file) == f"no right to write in {shut}"
        finally:
            if root:
                os.seteuid(0)
            shut.chmod(0o755)


def test_a_folder_appears_once_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "folder"
    with new_folder(path) as partial:
        (partial / "file").write_text("new")
        assert not path.exists()
    assert (path / "file").read_text() == "new"
    assert names(path.parent) == ["folder"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "folder"
    with new_folder(path) as partial:
        (partial / "only in the old one").write_text("old")
    with new_folder(path) as partial:
        (partial / "file").write_text("new")
        assert names(path) == ["only in the old one"]
    assert names(path) == ["file"]
    assert names(tmp_path) == ["folder"]


def test_a_block_that_raises_leaves_the_old_folder_and_does_no_harm_later(tmp_path):
    path = tmp_path / "folder"
    with new_folder(path) as partial:
        (partial / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt), new_folder(path) as partial:
        (partial / "torn").write_text("half")
        raise KeyboardInterrupt
    assert names(path) == ["file"]
    with new_folder(path) as partial:
        assert names(partial) == []
        (partial / "file").write_text("new")
    assert names(path) == ["file"]
    assert names(tmp_path) == ["folder"]


def test_rows_are_appended_and_read_back_in_order(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"n": 1, "x": 0.1}, {"text": 'ü\n"quoted"', "list": [1, None]}]
    append_rows(path, rows)
    append_rows(path, [{"n": 3}])
    assert read_rows(path) == [*rows, {"n": 3}]
    assert path.read_text(encoding="utf-8").count("\n") == 3


@settings(quick, max_examples=15)
@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_any_text_survives(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    append_rows(path, [{"text": text} for text in texts])
    assert [row["text"] for row in read_rows(path)] == texts


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_what_python_takes_for_a_line_end_does_not_end_a_row(tmp_path, separator):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"one{separator}line"}, {"text": "next"}]
    append_rows(path, rows)
    assert read_rows(path) == rows


def test_a_missing_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("cut", [1, 2, 5, 12])
def test_a_torn_last_line_is_left_out(tmp_path, cut):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"n": 1}, {"text": "été"}])
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_rows(path) == [{"n": 1}]


def test_a_line_torn_in_the_middle_of_a_character_is_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(dump_row({"n": 1}).encode() + '{"text": "é'.encode()[:-1])
    assert read_rows(path) == [{"n": 1}]


def test_keeping_rows_drops_the_others_and_the_torn_end(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"n": n} for n in range(5)])
    with path.open("a") as file:
        file.write('{"n": 5')
    keep_rows(path, lambda row: row["n"] % 2 == 0)
    assert path.read_text() == '{"n": 0}\n{"n": 2}\n{"n": 4}\n'
    append_rows(path, [{"n": 6}])
    assert [row["n"] for row in read_rows(path)] == [0, 2, 4, 6]


def test_keeping_rows_of_a_missing_file_makes_none(tmp_path):
    keep_rows(tmp_path / "none.jsonl", lambda row: True)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, number):
    with pytest.raises(ValueError):
        dump_row({"x": number})
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"x": 1}])
    with pytest.raises(ValueError):
        append_rows(path, [{"x": 2}, {"deep": [{"x": number}]}])
    assert read_rows(path) == [{"x": 1}]


def test_a_row_is_one_line_of_json():
    line = dump_row({"text": "a\nb", "x": 1.5})
    assert line.endswith("\n") and line.count("\n") == 1
    assert json.loads(line) == {"text": "a\nb", "x": 1.5}


def test_a_home_that_nobody_has_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert local_path("~/runs") == Path("/somewhere/runs") and local_path("runs") == Path("runs")
    assert local_path("~of nobody/runs") == Path("~of nobody/runs")
    assert local_path("~\0") == Path("~\0")
