"""Reading a run's folder: only finished and sound runs."""

from pathlib import Path

import pytest

from src.run_folder.final_row import final_row, rows_problem
from src.runtime.errors import RunError
from src.storage.checksums import write_sums
from sweeps.finished import read_finished, run_folders
from tests.sweeps.example import finish, job, rows


def test_a_finished_run_is_its_rows_and_its_settings(tmp_path: Path) -> None:
    run = read_finished(finish(job(folder=tmp_path / "a", seed=3), win_rate=0.7))
    assert run.run == "a" and len(run.rows) == 2 and run.result["win_rate"] == 0.7
    assert run.settings["model.sft.seed"] == 0 and run.settings["seed"] == 3 and run.settings["model.scratch"] == {}
    assert run.identity == (run.result["config_hash"], 3)
    assert final_row(tmp_path / "a") == run.result


def test_settings_name_no_cache_of_the_machine(tmp_path: Path) -> None:
    folder = finish(job(folder=tmp_path / "a"))
    with (folder / "config.yaml").open("a") as config:
        config.write("cache: /home/me/cache\noracle:\n  cache: /home/me/answers\n  name: llm\n")
    write_sums(folder)
    settings = read_finished(folder).settings
    assert settings["oracle.name"] == "llm" and "/home/me" not in str(settings)


@pytest.mark.parametrize("name", ["results.jsonl", "config.yaml"])
def test_a_changed_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = finish(job(folder=tmp_path / "a"))
    file = folder / name
    file.write_text(file.read_text().replace("0.6", "0.9").replace("cpu", "gpu"))
    with pytest.raises(RunError, match=f"a/{name} is damaged.*force=true"):
        read_finished(folder)
    file.unlink()
    with pytest.raises(RunError, match=f"a/{name} is missing"):
        read_finished(folder)
    assert name == "config.yaml" or final_row(folder) is None


def test_a_run_without_checksums_is_unfinished(tmp_path: Path) -> None:
    folder = finish(job(folder=tmp_path / "a"))
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(RunError, match="a: unfinished: no SHA256SUMS"):
        read_finished(folder)
    assert final_row(folder) is None and final_row(tmp_path / "nowhere") is None


def test_a_configuration_that_is_none_is_named(tmp_path: Path) -> None:
    folder = finish(job(folder=tmp_path / "a"))
    (folder / "config.yaml").write_text("- 1\n")
    write_sums(folder)
    with pytest.raises(RunError, match="no configuration"):
        read_finished(folder)


def test_rows_that_are_no_result_are_told_apart() -> None:
    assert rows_problem(rows()) == "" and rows_problem(rows(win_rate=None)) == ""
    assert rows_problem([]) == rows_problem([1]) == "no result rows"
    assert rows_problem(rows()[:1]) == "unfinished: step 0 of 4"
    assert rows_problem([*rows("a")[:1], *rows("b")[1:]]) == "rows of several runs"
    for key in ("config_hash", "seed", "T", "win_rate"):
        without = rows()
        del without[-1][key]
        assert key in rows_problem(without)
    assert "seed" in rows_problem([rows()[-1] | {"seed": "0"}])


def test_runs_are_found_at_any_depth_and_none_inside_another(tmp_path: Path) -> None:
    for name in ("b", "deep/er/a", "b/inside"):
        finish(job(folder=tmp_path / name))
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "identity.json").write_text("{}")
    assert [str(folder.relative_to(tmp_path)) for folder in run_folders(tmp_path)] == ["b", "begun", "deep/er/a"]
