"""Packed files read as what was packed."""

import zipfile
from pathlib import Path

import pytest

from src.data.packing import PACKED, UNREADABLE, opened, unpacked_name
from tests.data.packed import pack

CONTENT = b"one\ntwo\n" * 1000


@pytest.mark.parametrize("suffix", [*PACKED, ".GZ", ""])
def test_every_packing_gives_the_content(tmp_path: Path, suffix: str) -> None:
    file = pack(tmp_path / f"Train.JSONL{suffix}", CONTENT)
    assert unpacked_name(file.name) == "train.jsonl"
    with opened(file) as content:
        assert content.read() == CONTENT
    with opened(file) as content:
        assert list(content)[:2] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("suffix", PACKED)
def test_damage_is_one_of_the_errors_that_are_named(tmp_path: Path, suffix: str) -> None:
    file = pack(tmp_path / f"a{suffix}", CONTENT)
    sound = file.read_bytes()
    for content in (b"", b"neither this nor that", sound[: len(sound) // 2], sound[:20] + b"\xff" * 16 + sound[36:]):
        file.write_bytes(content)
        try:
            with opened(file) as opening:
                assert opening.read() != CONTENT
        except UNREADABLE:
            pass


def test_an_archive_has_one_file(tmp_path: Path) -> None:
    file = pack(tmp_path / "a.jsonl.zip", CONTENT)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__MACOSX/._a.jsonl", b"notes")
        archive.writestr("folder/", b"")
    with opened(file) as content:
        assert content.read() == CONTENT
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("b.jsonl", b"")
    with pytest.raises(ValueError, match="expected one file in the archive, got 2: a.jsonl, b.jsonl"), opened(file):
        pass
