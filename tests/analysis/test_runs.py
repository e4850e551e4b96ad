import json
import os
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import AnalysisError
from analysis.runs import Run, Skipped, read_folders, read_run
from tests.analysis.made_runs import make_run, row, rows, write_rows


def skipped(folder: Path) -> str:
    found = read_run(folder)
    assert isinstance(found, Skipped), found
    return found.why


def test_a_finished_run_is_its_last_row_and_its_settings(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a", wins=130, learning_rate=1e-3, seed=3))
    assert isinstance(run, Run)
    assert run.row["win_rate"] == 0.65 and run.row["step"] == 64
    assert [one["round"] for one in run.evaluations] == [0, 0, -1]
    assert run.settings["learning_rate"] == 1e-3 and run.settings["evaluate.prompts"] is None


def test_settings_of_runs_that_differ_in_more_than_the_seed_are_their_own(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=0, beta=0.1)
    make_run(tmp_path / "b", seed=1, beta=0.1)
    make_run(tmp_path / "c", seed=1, beta=0.2)
    runs, _ = read_folders([tmp_path])
    assert [run.settings["loss.beta"] for run in runs] == [0.1, 0.1, 0.2]


def test_runs_are_found_at_any_depth_once_and_sorted(tmp_path: Path) -> None:
    make_run(tmp_path / "z")
    make_run(tmp_path / "deep" / "er" / "b")
    make_run(tmp_path / "z" / "inside", seed=9)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.json").write_text("{}")
    runs, left = read_folders([tmp_path, tmp_path / "z"])
    assert [Path(run.where).name for run in runs] == ["b", "z"] and left == []


def test_an_empty_folder_holds_no_runs(tmp_path: Path) -> None:
    assert read_folders([tmp_path]) == ([], [])


def test_all_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnalysisError) as caught:
        read_folders([tmp_path / "nowhere", tmp_path / "file"])
    assert len(caught.value.problems) == 2
    assert "no such folder" in caught.value.problems[0] and "that is a file" in caught.value.problems[1]


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_a_run_without_its_last_row_is_unfinished(tmp_path: Path, keep: int) -> None:
    folder = make_run(tmp_path / "a")
    write_rows(folder, rows()[:keep])
    assert skipped(folder).startswith("unfinished")


def test_a_run_that_has_only_begun_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "identity.json").write_text("{}")
    runs, left = read_folders([tmp_path])
    assert not runs and left[0].why.startswith("unfinished")


@pytest.mark.parametrize("cut", [1, 2, 30, 400])
def test_a_cut_last_line_is_named_and_never_read(tmp_path: Path, cut: int) -> None:
    folder = make_run(tmp_path / "a")
    content = (folder / "results.jsonl").read_bytes()
    (folder / "results.jsonl").write_bytes(content[:-cut])
    if cut == 1:
        assert isinstance(read_run(folder), Run), "only the newline is missing"
    else:
        assert "cut off" in skipped(folder)


def test_a_whole_result_with_a_torn_line_after_it_is_not_taken(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"schema_version": 2, "win')
    assert "cut off" in skipped(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"a": 1}\n', "something else"),
        ("[1, 2]\n", "something else"),
        ("3\n", "something else"),
        ("null\n", "something else"),
        ("{}\n", "something else"),
        ("not json\n{}\n", "line 1"),
        ("[" * 100_000 + "\n\n", "JSON"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "results.jsonl").write_text(content)
    assert why in skipped(tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b"\xff\xfe\x00")
    assert skipped(tmp_path)


@pytest.mark.parametrize("version", [0, 1, 3, None, "2", True, 2.0])
def test_other_schema_versions_are_not_read(tmp_path: Path, version: Any) -> None:
    write_rows(tmp_path, [row(schema_version=version)])
    assert "schema_version" in skipped(tmp_path)


def test_a_row_without_schema_version_is_not_read(tmp_path: Path) -> None:
    old = row()
    del old["schema_version"]
    write_rows(tmp_path, [old])
    assert "missing" in skipped(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"win_rate": float("nan")}, {"win_rate": None}, {"win_rate": "0.6"}, {"win_rate": True}, {"win_rate": 1.2},
        {"win_rate": 0.9}, {"win_rate_length_controlled": float("inf")}, {"kl_sft": None}, {"seed": "0"}, {"F": 0},
        {"F": 2.0}, {"task": None}, {"n_prompts": 0}, {"n_invalid": 3}, {"judge_is_oracle": "yes"}, {"wins": -1},
        {"round": {}}, {"round": None}, {"round": "1"}, {"samples": 0}, {"samples": 2}, {"samples": None},
        {"win_rate_low": 0.7}, {"win_rate_high": 0.5}, {"win_rate_lowest": 0.61}, {"win_rate_highest": 1.5},
        {"win_rate_se": "0.1"}, {"gold_score_mean": float("nan")}, {"proxy_score_mean": "high"},
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_named(tmp_path: Path, change: dict[str, Any]) -> None:
    write_rows(tmp_path, [row(**change)])
    assert next(iter(change)) in skipped(tmp_path)


def test_counts_are_of_responses(tmp_path: Path) -> None:
    """Two responses to each of 200 prompts."""
    write_rows(tmp_path, [row(wins=240, losses=150, n_invalid=10, samples=2)])
    run = read_run(tmp_path)
    assert isinstance(run, Run) and run.row["win_rate"] == pytest.approx(240 / 390)
    write_rows(tmp_path, [row(wins=240, losses=150, samples=2)])
    assert "do not add up to n_prompts=200 times samples=2" in skipped(tmp_path)


@pytest.mark.parametrize(
    "key", ["win_rate_se", "win_rate_length_controlled_se", "gold_score_mean", "gold_score_se", "label_gold_score_mean"]
)
def test_what_may_be_null_must_be_there(tmp_path: Path, key: str) -> None:
    write_rows(tmp_path, [row(**{key: None})])
    assert isinstance(read_run(tmp_path), Run)
    without = row()
    del without[key]
    write_rows(tmp_path, [without])
    assert f"{key} is None" in skipped(tmp_path)


def test_a_row_may_lack_the_proxy_score(tmp_path: Path) -> None:
    without = row()
    del without["proxy_score_mean"]
    write_rows(tmp_path, [without])
    assert isinstance(read_run(tmp_path), Run)


def test_a_length_controlled_win_rate_may_be_null_with_a_reason(tmp_path: Path) -> None:
    none = {"win_rate_length_controlled": None, "win_rate_length_controlled_se": None}
    write_rows(tmp_path, [row(**none, length_controlled_why="all responses are longer")])
    assert isinstance(read_run(tmp_path), Run)
    write_rows(tmp_path, [row(**none)])
    assert "without a reason" in skipped(tmp_path)


def judged(wins: int, ties: int, losses: int, **changes: Any) -> dict[str, Any]:
    """A row of a judge that compares, and gave no usable answer to the rest of 200 prompts."""
    counts = {"wins": wins, "ties": ties, "losses": losses, "n_invalid": 200 - wins - ties - losses}
    return row(**counts | {"judge_score_mean": None} | changes)


@pytest.mark.parametrize(("wins", "ties", "losses"), [(120, 0, 80), (100, 20, 30), (0, 0, 1), (0, 1, 0)])
def test_a_judge_that_compares_gives_no_scores_and_its_useless_answers_are_no_votes(
    tmp_path: Path, wins: int, ties: int, losses: int
) -> None:
    write_rows(tmp_path, [judged(wins, ties, losses)])
    run = read_run(tmp_path)
    assert isinstance(run, Run) and run.row["judge_score_mean"] is None
    write_rows(tmp_path, [judged(wins, ties, losses, win_rate=(wins + ties / 2) / 200 + 0.01)])
    assert "win_rate is" in skipped(tmp_path) and "say otherwise" in skipped(tmp_path)


def test_a_run_without_a_usable_answer_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path, [judged(120, 0, 80, step=0), judged(0, 0, 0)])
    assert (
        skipped(tmp_path)
        == "unusable: the judge gave no usable verdict on any of 200 responses, so there is no win rate"
    )
    write_rows(tmp_path, [judged(0, 0, 0, step=0), judged(120, 0, 80)])
    assert isinstance(read_run(tmp_path), Run), "an evaluation during training may lack one"


@pytest.mark.parametrize(
    "change", [{"win_rate": None}, {"win_rate_length_controlled": None}, {"judge_score_mean": float("nan")}]
)
def test_null_stands_only_where_there_is_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    write_rows(tmp_path, [judged(120, 0, 80, **change)])
    assert f"{next(iter(change))} is" in skipped(tmp_path)
    without = judged(120, 0, 80)
    del without["judge_score_mean"]
    write_rows(tmp_path, [without])
    assert "judge_score_mean is None" in skipped(tmp_path)
    write_rows(tmp_path, [judged(0, 0, 0, win_rate=0.5)])
    assert "win_rate is 0.5, and the judge gave a usable verdict on 0 responses" in skipped(tmp_path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    without = row()
    del without["judge"]
    write_rows(tmp_path, [without])
    assert "judge is None" in skipped(tmp_path)


def test_rows_of_two_runs_in_one_file_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, [row(step=0, seed=1), row()])
    assert "several runs" in skipped(tmp_path) and "seed" in skipped(tmp_path)
    write_rows(tmp_path, [row(), row()])
    assert "two final rows" in skipped(tmp_path)


@pytest.mark.parametrize("text", ["{", "- 1\n", "a: &a [*a, *b]", "\t"])
def test_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_text(text)
    assert "config.yaml" in skipped(folder)


def test_a_run_without_configuration_is_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").unlink()
    run = read_run(folder)
    assert isinstance(run, Run) and run.settings == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "results.jsonl").chmod(0)
    assert "Permission" in skipped(folder)


def test_the_rows_of_the_program_itself_are_read(tmp_path: Path) -> None:
    """The row of src/run_folder/folder.py and the row made up here have the same keys."""
    from src.run_folder.folder import SCHEMA_VERSION, RunFolder

    made = row()
    own = {key: value for key, value in made.items() if key != "schema_version"}
    RunFolder(tmp_path, {}).log_result(own)
    assert json.loads((tmp_path / "results.jsonl").read_text())["schema_version"] == SCHEMA_VERSION
    assert isinstance(read_run(tmp_path), Run)
