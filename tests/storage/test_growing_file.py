"""A file that rows are appended to begins as it did, or the change is seen."""

import hashlib
from pathlib import Path

import pytest

from src.storage.growing_file import GrowingFile


def sealed(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def test_a_seal_is_size_and_checksum_of_all_that_was_appended(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "rows.jsonl")
    assert file.seal() == sealed(b"")
    content = b""
    for rows in (b"first\n", b"", b"x" * (2**20 + 3) + b"\n", b"last\n"):
        content += rows
        file.path.write_bytes(content)
        assert file.seal() == sealed(content)


@pytest.mark.parametrize("later", [b"", b"more\n"])
def test_a_file_that_only_grew_begins_as_before(tmp_path: Path, later: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"one\ntwo\n")
    seal = GrowingFile(path).seal()
    path.write_bytes(b"one\ntwo\n" + later)
    assert GrowingFile(path).begins_as(seal)


@pytest.mark.parametrize("content", [b"one\ntwO\nmore\n", b"one\n", b"", None])
def test_a_changed_a_shorter_and_a_missing_file_do_not(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"one\ntwo\n")
    seal = GrowingFile(path).seal()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert not GrowingFile(path).begins_as(seal)


def test_what_was_written_after_a_seal_is_cut(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "rows.jsonl")
    file.path.write_bytes(b"one\n")
    seal = file.seal()
    file.path.write_bytes(b"one\ntwo\n")
    assert file.begins_as(seal)
    file.cut()
    assert file.path.read_bytes() == b"one\n" and file.seal() == seal


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "rows.jsonl")
    assert file.begins_as(sealed(b""))
    file.cut()
    assert not file.path.exists()
