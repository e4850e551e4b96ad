import os
import tempfile
from pathlib import Path

import pytest

from src.storage.files import local_path, new_folder, unwritable, write_text

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


def test_a_home_that_nobody_has_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert local_path("~/runs") == Path("/somewhere/runs") and local_path("runs") == Path("runs")
    assert local_path("~of nobody/runs") == Path("~of nobody/runs")
    assert local_path("~\0") == Path("~\0")
