"""Rows that are not judged are accounted for, and lines of a file are counted as the data stand."""

from pathlib import Path

import pytest

from src.evaluate import main
from src.storage.rows import read_rows
from tests.after_training.saved_runs import write_lines
from tests.commands import called
from tests.data import hub_sets

pytestmark = pytest.mark.slow


def test_lines_are_those_of_the_file_whatever_the_data_leave_out(tmp_path: Path, longest: None, capsys) -> None:
    """Repeated prompts, and prompts that another split holds, are left out after the lines were counted."""
    held = {"prompt": "shared", "label": "xx"}
    test = [{"prompt": p, "label": "xx"} for p in ("a", "b", "a", "shared", "c")]
    write_lines(tmp_path / "train.jsonl", [{"prompt": "t", "label": "l"}])
    write_lines(tmp_path / "validation.jsonl", [held, {"prompt": "v", "label": "xx"}, {"prompt": "v", "label": "y"}])
    write_lines(tmp_path / "test.jsonl", test)
    (tmp_path / "out.txt").write_text("long\n\nlong too\nxx\nx\n")
    data = ("data=files", f"data.path={tmp_path}", "task=tldr", "judge=embedding")
    results, samples = tmp_path / "r.jsonl", tmp_path / "s.jsonl"
    out = f"responses={tmp_path / 'out.txt'}"
    assert called(main, out, *data, "split=test", f"results={results}", f"samples={samples}") is None
    [row] = read_rows(results)
    assert (row["n_prompts"], row["wins"], row["ties"], row["losses"]) == (4, 1, 1, 2)
    assert [one["response"] for one in read_rows(samples)] == ["long", "", "xx", "x"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "test: 5 rows, 4 judged; left out: 1 whose prompt came before" in printed
    assert "1 responses to a prompt that has one already are left out" in printed
    assert called(main, out, *data, "evaluate.prompts=2", f"results={results}") is None
    assert read_rows(results)[1]["n_prompts"] == 2
    # validation: the shared prompt is test's, the second v is a repetition
    (tmp_path / "out.txt").write_text("q\nw\ne\n")
    assert called(main, out, *data, "split=validation", f"results={results}", f"samples={samples}") is None
    assert [one["response"] for one in read_rows(samples)] == ["w"]
    assert "1 whose prompt is in another split too" in " ".join(capsys.readouterr().out.split())
    assert "got 3 responses, and test has 5 rows; expected" in str(called(main, out, *data, "split=test"))


def hub_data(folder: Path) -> tuple[str, ...]:
    return "task=tldr", "data=hub", f"data.path={folder}", "judge=embedding"


def test_rows_cut_by_the_size_of_a_split_are_not_those_of_another_one(
    tmp_path: Path, longest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, numbers in (("train", range(30)), ("validation", range(100, 120)), ("test", range(110, 150))):
        hub_sets.write(tmp_path / "data" / f"{name}.jsonl", hub_sets.tldr(numbers))
    data = (*hub_data(tmp_path / "data"), "data.validation=4", "data.test=3")
    out = tmp_path / "out.txt"
    for split, rows, said in (
        ("validation", 20, "4 judged; left out: 10 whose prompt is in another split too, 6 cut by data.validation=4"),
        ("test", 40, "3 judged; left out: 37 cut by data.test=3"),
    ):
        out.write_text("x\n" * rows)
        assert called(main, f"responses={out}", *data, f"split={split}") is None
        assert f"{split}: {rows} rows, {said}" in " ".join(capsys.readouterr().out.split())


def test_a_line_for_a_row_that_the_data_drop_is_explained(tmp_path: Path, longest: None) -> None:
    for first, name in enumerate(("train", "validation", "test")):
        rows = hub_sets.tldr(range(10 * first, 10 * first + 5))
        hub_sets.write(tmp_path / "data" / f"{name}.jsonl", [*rows, {"prompt": f"empty {name}", "completion": ""}])
    data = (*hub_data(tmp_path / "data"), "data.rows_without_text=drop", "data.validation=5")
    (tmp_path / "out.txt").write_text("x\n" * 6)
    said = str(called(main, f"responses={tmp_path / 'out.txt'}", *data))
    assert "got 6 responses, and test has 5 rows (the source's rows without text are left out: data.row" in said
