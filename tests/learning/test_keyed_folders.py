"""The cache of folders by itself; tests/learning/test_sft_cache.py has it with policies."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from src.learning.keyed_folders import KeyedFolders
from src.runtime.report import Report


class Maker:
    """Writes a file, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, folder: Path) -> dict[str, object]:
        self.made += 1
        (folder / "weights").write_text("numbers")
        return {"what": "a policy"}


def folders(root: Path, **common: object) -> KeyedFolders:
    return KeyedFolders(root, {"format": 1, **common}, Report())


def test_a_folder_is_made_once_for_its_key_and_says_what_it_is(tmp_path: Path) -> None:
    make = Maker()
    first = folders(tmp_path).get("sft", {"member": 0}, make)
    assert folders(tmp_path).get("sft", {"member": 0}, make) == first and make.made == 1
    facts = json.loads((first / "made.json").read_text())
    assert facts["key"] == {"format": 1, "member": 0} and facts["what"] == "a policy"
    assert list(facts["files"]) == ["weights"]
    assert first.parent == tmp_path and first.name.startswith("sft-")


def test_another_key_is_another_folder(tmp_path: Path) -> None:
    make = Maker()
    made = {
        folders(tmp_path).get("sft", {"member": 0}, make),
        folders(tmp_path).get("sft", {"member": 1}, make),
        folders(tmp_path).get("base", {"member": 0}, make),
        folders(tmp_path, rows="others").get("sft", {"member": 0}, make),
    }
    assert len(made) == make.made == 4


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("weights", "damage", "weights is damaged; it is made again"),
        ("weights", "remove", "weights is missing; it is made again"),
        ("made.json", "damage", "made.json is damaged"),
    ],
)
def test_a_damaged_folder_is_named_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, change: str, said: str
) -> None:
    make = Maker()
    folder = folders(tmp_path).get("sft", {}, make)
    whole = {name: (folder / name).read_bytes() for name in ("weights", "made.json")}
    if change == "remove":
        (folder / file).unlink()
    else:
        (folder / file).write_text("damaged")
    assert folders(tmp_path).get("sft", {}, make) == folder and make.made == 2
    assert said in capsys.readouterr().out.replace("\n", " ")
    assert {name: (folder / name).read_bytes() for name in whole} == whole


def test_a_folder_of_an_earlier_version_is_used_as_it_is(tmp_path: Path) -> None:
    make = Maker()
    folder = folders(tmp_path).get("sft", {}, make)
    (folder / "made.json").write_text(json.dumps({"what": "a policy", "key": {}}) + "\n")
    assert folders(tmp_path).get("sft", {}, make) == folder and make.made == 1


def test_one_that_another_process_makes_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make = Maker()
    folder = folders(tmp_path).get("sft", {}, make)
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    for file in folder.iterdir():
        file.unlink()
    lock = FileLock(tmp_path / f"{folder.name}.lock")
    lock.acquire()

    class Finishing(Report):
        """The other process is done as soon as it is waited for."""

        def say(self, text: str) -> None:
            super().say(text)
            for name, content in whole.items():
                (folder / name).write_bytes(content)
            lock.release()

    assert KeyedFolders(tmp_path, {"format": 1}, Finishing()).get("sft", {}, make) == folder
    assert make.made == 1
    assert "waiting for another process, which is making" in capsys.readouterr().out
