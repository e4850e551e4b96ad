"""The checksums of a finished run."""

from pathlib import Path

from src.storage.checksums import SUMS, damage, write_sums


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    assert damage(tmp_path) == []
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b").write_bytes(b"b")
    (tmp_path / "a").write_bytes(b"")
    write_sums(tmp_path)
    empty, b = (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
    )
    assert (tmp_path / SUMS).read_text() == f"{empty}  a\n{b}  below/b\n"
    assert damage(tmp_path) == []
    (tmp_path / "new").write_bytes(b"x")
    assert damage(tmp_path) == []
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "below" / "b").unlink()
    assert damage(tmp_path) == [
        f"{tmp_path / 'a'} is damaged: its checksum is not that of {SUMS}",
        f"{tmp_path / 'below' / 'b'} is missing, and {SUMS} lists it",
    ]
    assert len(damage(tmp_path, ("below/",))) == 1
    for text in ("", f"{empty}  ../a\n", "nonsense\n"):
        (tmp_path / SUMS).write_text(text)
        assert len(damage(tmp_path)) == 1
