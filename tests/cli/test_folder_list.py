"""A list of folders whose names have commas."""

from pathlib import Path

import pytest

from src.cli.folder_list import split_folders


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["a", "b"], "a,b", ["a", "b"]),
        (["F=1,seed=0", "F=1"], "F=1,seed=0", ["F=1,seed=0"]),
        (["F=1,seed=0", "b"], "sft,F=1,seed=0,b", ["sft", "F=1,seed=0", "b"]),
        (["a,b,c"], "a,b,c,a,b,c", ["a,b,c", "a,b,c"]),
        ([], "nowhere,sft", ["nowhere", "sft"]),
    ],
)
def test_commas_in_names(
    names: list[str], text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        (tmp_path / name).mkdir()
    assert split_folders(text) == expected
