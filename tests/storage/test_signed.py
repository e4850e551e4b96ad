"""Signed rows: any change of a row, or of its file, is seen."""

import hashlib
from pathlib import Path

import pytest

from src.storage.rows import dump_row
from src.storage.signed import CHECKSUM, checksum, is_signed, read_signed, signed

ROW = {"round": 3, "text": "naïve \ud800", "nested": {"b": [1, 2.5, None], "a": True}}


def test_a_signed_row_has_its_fields_and_is_unchanged() -> None:
    row = signed(ROW)
    assert {key: value for key, value in row.items() if key != CHECKSUM} == ROW
    assert is_signed(row) and signed(row) == row
    assert is_signed(dict(reversed(row.items()))), "the order of keys means nothing"


@pytest.mark.parametrize(
    "change", [{"round": 4}, {"text": "naive"}, {"nested": {}}, {"more": 1}, {CHECKSUM: "0" * 64}, {CHECKSUM: None}]
)
def test_any_change_is_seen(change: dict) -> None:
    assert not is_signed(signed(ROW) | change)
    assert not is_signed(ROW)


def test_a_file_of_one_signed_row_is_read_if_it_is_of_the_kind(tmp_path: Path) -> None:
    file = tmp_path / "round.json"
    row = signed({"round": 1, "drawn": 8})
    file.write_text(dump_row(row))
    assert read_signed(file, "round", "drawn") == row
    assert read_signed(file, "files") is None
    for content in ("", dump_row(row) * 2, dump_row(row)[:-5], dump_row(row).replace("8", "9"), "[1]\n"):
        file.write_text(content)
        assert read_signed(file, "round") is None
    assert read_signed(tmp_path / "nowhere.json") is None


def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(range(256)) * 5000)
    assert checksum(file) == hashlib.sha256(file.read_bytes()).hexdigest()
