"""Files of rows: any text survives, a torn end is left out."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.storage.rows import append_rows, dump_row, keep_rows, read_rows
from tests.properties import quick

UNWRITABLE = "half of a surrogate pair: \ud83d"  # has no UTF-8, so writing it fails half-way


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
    assert list(tmp_path.iterdir()) == []


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
