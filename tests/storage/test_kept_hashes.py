"""Hashes of whole files, kept while a file is unchanged and no longer."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.storage import kept_hashes
from src.storage.kept_hashes import SMALL, KeptHashes, keep_hashes_in, whole_hash

LARGE = bytes(SMALL) + b"the end"


@pytest.fixture(autouse=True)
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that were read whole, with nothing kept before."""
    read: list[Path] = []
    real = kept_hashes.checksum
    monkeypatch.setattr(kept_hashes, "checksum", lambda file: read.append(file) or real(file))
    monkeypatch.setattr(KeptHashes, "known", {})
    monkeypatch.setattr(KeptHashes, "folder", None)
    monkeypatch.setattr(kept_hashes, "UNSETTLED", 0.0)
    keep_hashes_in(tmp_path / "cache")
    yield read


def write(file: Path, content: bytes = LARGE) -> Path:
    file.write_bytes(content)
    time.sleep(0.02)  # longer than the steps of a time stamp
    return file


def test_a_file_is_read_once_also_by_the_next_process(tmp_path: Path, reads: list[Path]) -> None:
    file = write(tmp_path / "weights")
    first = whole_hash(file)
    assert first == hashlib.sha256(LARGE).hexdigest() == whole_hash(file)
    KeptHashes.known.clear()  # as a new process begins
    assert whole_hash(file) == first and len(reads) == 1


@pytest.mark.parametrize("same_process", [True, False])
def test_a_file_overwritten_in_place_with_its_time_set_back_is_read_again(tmp_path: Path, same_process: bool) -> None:
    file = write(tmp_path / "weights")
    first, before = whole_hash(file), file.stat()
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"D")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (before.st_size, before.st_ino, before.st_mtime_ns)
    if not same_process:
        KeptHashes.known.clear()
    assert whole_hash(file) == hashlib.sha256(file.read_bytes()).hexdigest() != first


def test_the_hash_of_a_file_that_just_changed_is_not_kept(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change may leave the same time stamps."""
    monkeypatch.setattr(kept_hashes, "UNSETTLED", 5.0)
    file = write(tmp_path / "weights")
    whole_hash(file), whole_hash(file)
    assert len(reads) == 2 and not (tmp_path / "cache").exists()
    os.utime(file, (time.time() - 100,) * 2)  # sets the other time stamp to now
    whole_hash(file), whole_hash(file)
    assert len(reads) == 4


def test_a_link_to_another_file_has_its_hash(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b", LARGE + b".")
    link = tmp_path / "link"
    link.symlink_to(first)
    assert whole_hash(link) == whole_hash(first)
    link.unlink()
    link.symlink_to(second)
    assert whole_hash(link) == whole_hash(second) != whole_hash(first)


def test_damage_to_a_kept_hash_costs_another_reading(tmp_path: Path, reads: list[Path]) -> None:
    file = write(tmp_path / "weights")
    first = whole_hash(file)
    [kept] = (tmp_path / "cache" / "hashes").iterdir()
    for content in (kept.read_text().replace(first[:8], "00000000"), "", "[]\n"):
        KeptHashes.known.clear()
        kept.write_text(content)
        assert whole_hash(file) == first
    assert len(reads) == 4


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert whole_hash(write(tmp_path / "weights")) == hashlib.sha256(LARGE).hexdigest()
