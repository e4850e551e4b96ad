"""Labelled pairs read from the folders of runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.reward_fitting.preferences import Preference
from src.reward_fitting.run_pairs import run_preferences
from src.run_folder.round_files import read_pairs
from src.runtime.errors import RunError
from tests.reward_fitting.runs import comparison, run_folder


def test_pairs_of_runs_are_read_without_their_ties(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "one", [[comparison(0), comparison(1, None)], [comparison(2, 1)]])
    second = run_folder(tmp_path / "two", [[comparison(3)]], "{path: somewhere}")
    found, ties = run_preferences([first, second])
    assert ties == 1
    assert found[0] == Preference("prompt 0", ("good 0", "bad 0"), 0, (0.5, -1.0), 0.25, 0.1)
    assert [(one.prompt, one.chosen) for one in found[1:]] == [("prompt 2", 1), ("prompt 3", 0)]
    assert (found[2].temperature, found[2].flip) == (0.0, 0.0)


def test_a_pair_that_several_runs_have_counts_once_as_it_was_labelled_first(tmp_path: Path) -> None:
    turned = replace(comparison(0), responses=comparison(0).responses[::-1])
    first = run_folder(tmp_path / "one", [[comparison(0), comparison(1)], [comparison(0)]])
    second = run_folder(tmp_path / "two", [[turned, comparison(2)]])
    found, ties = run_preferences([first, second])
    assert [one.prompt for one in found] == ["prompt 0", "prompt 1", "prompt 2"] and ties == 0
    assert found[0].texts == ("good 0", "bad 0")


def test_read_pairs_gives_what_save_round_wrote(tmp_path: Path) -> None:
    written = [comparison(4), comparison(5, None), comparison(6, 1)]
    run_folder(tmp_path, [written])
    found = read_pairs(tmp_path / "pairs")
    assert [(one.responses, one.scores, one.chosen, one.logps) for one in found] == [
        (one.responses, one.scores, one.chosen, one.logps) for one in written
    ]
    assert [one.prompt.row.prompt for one in found] == ["prompt 4", "prompt 5", "prompt 6"]
    assert read_pairs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("end", ['{"prompt_id": 1, "pro', "[]", '{"prompt": "x"}', "null", "3"])
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, end: str) -> None:
    run_folder(tmp_path, [[comparison(0), comparison(1)]])
    file = tmp_path / "pairs" / "round_000.jsonl"
    file.write_text(file.read_text() + end)
    with pytest.raises(RunError, match=r"round_000.jsonl, line 3: no comparison of a run"):
        run_preferences([tmp_path])


def test_a_chosen_response_that_is_not_there_is_damage(tmp_path: Path) -> None:
    run_folder(tmp_path, [[comparison(0, 2)]])
    with pytest.raises(RunError, match="line 1: no comparison"):
        run_preferences([tmp_path])


@pytest.mark.parametrize("text", ["", "T: 4", "oracle: gold", "oracle: {temperature: warm}", "{", "- 1"])
def test_a_configuration_without_an_oracle_is_refused(tmp_path: Path, text: str) -> None:
    run_folder(tmp_path, [[comparison(0)]])
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match="config.yaml is no run's configuration"):
        run_preferences([tmp_path])
