import os
from pathlib import Path

import pytest

from src.run_folder.lock import run_lock
from src.runtime.errors import ConfigError, RunError


def test_the_second_process_in_a_folder_hears_who_holds_it(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path / "run"),
        pytest.raises(RunError, match=rf"running here \(process {os.getpid()} on \S+, since 20..-..-.. ..:..:.. "),
        run_lock(tmp_path / "run"),
    ):
        pass
    with run_lock(tmp_path / "run"):
        (tmp_path / "run" / "written").touch()
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [".lock", "written"]


def test_a_folder_in_which_nothing_was_written_is_gone(tmp_path: Path) -> None:
    for _ in range(2):
        with run_lock(tmp_path / "outputs" / "run"):
            assert (tmp_path / "outputs" / "run" / ".holder.json").exists()
        assert list((tmp_path / "outputs").iterdir()) == []
    with pytest.raises(ConfigError), run_lock(tmp_path / "outputs" / "run"):
        raise ConfigError(["the data cannot be had"])
    assert list((tmp_path / "outputs").iterdir()) == []
