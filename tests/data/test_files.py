import json
from pathlib import Path

import pytest

from src.data.files import FilesData
from src.data.splits import Splits
from src.records import Row
from src.runtime.errors import ConfigError

GOOD = {
    "train": [{"prompt": f"train {i}", "label": f"label {i}"} for i in range(4)],
    "validation": [{"prompt": "held out", "label": "a label"}, {"prompt": "held out too", "label": "a label"}],
    "test": [{"prompt": "the last", "label": "a label"}],
}


def write(folder: Path, **splits: list) -> FilesData:
    """Writes splits over the good ones: dicts and lists as JSON, text and bytes as they are; None leaves a file out."""
    for name, rows in (GOOD | splits).items():
        if rows is not None:
            lines = [
                row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
                for row in rows
            ]
            (folder / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return data(folder)


def data(folder: Path | None, shared_prompts: str = "drop", **columns: str | None) -> FilesData:
    none = {"chosen_column": None, "rejected_column": None}
    names = {"prompt_column": "prompt", "label_column": "label", "split": None} | none | columns
    return FilesData(path=None if folder is None else str(folder), shared_prompts=shared_prompts, **names)


def rows(*prompts: str) -> list[dict[str, str]]:
    return [{"prompt": prompt, "label": f"label of {prompt}"} for prompt in prompts]


def test_a_good_folder(tmp_path):
    files = write(tmp_path)
    assert files.problems("any task") == []
    splits = files.load("any task")
    assert splits == Splits(
        train=[Row(f"train {i}", f"label {i}") for i in range(4)],
        validation=[Row("held out", "a label"), Row("held out too", "a label")],
        test=[Row("the last", "a label")],
    )
    assert splits.final() == "test"


def test_no_test_file_leaves_validation_for_the_final_evaluation(tmp_path):
    files = write(tmp_path, test=None)
    assert files.problems("any task") == []
    splits = files.load("any task")
    assert splits.test is None
    assert splits.final() == "validation"


def test_other_columns(tmp_path):
    write(
        tmp_path,
        train=[{"post": "a", "tldr": "b", "prompt": "not this"}],
        validation=[{"post": "c", "tldr": "d"}],
        test=None,
    )
    files = data(tmp_path, prompt_column="post", label_column="tldr")
    assert files.problems("tldr") == []
    assert files.load("tldr").train == [Row("a", "b")]


def test_white_space_around_texts_is_removed_and_kept_inside(tmp_path):
    files = write(tmp_path, train=[{"prompt": " a \n b \n", "label": "\tc  d "}])
    assert files.load("tldr").train == [Row("a \n b", "c  d")]


def test_blank_lines_a_missing_last_newline_and_windows_line_ends_do_no_harm(tmp_path):
    write(tmp_path)
    lines = ['{"prompt": "a", "label": "b"}', "", "  ", '{"prompt": "ü\u2028ö", "label": "d"}']
    (tmp_path / "train.jsonl").write_bytes("\r\n".join(lines).encode())
    assert data(tmp_path).problems("tldr") == []
    assert data(tmp_path).load("tldr").train == [Row("a", "b"), Row("ü\u2028ö", "d")]


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_a_missing_file_is_a_problem(tmp_path, missing):
    (problem,) = write(tmp_path, **{missing: None}).problems("tldr")
    assert str(tmp_path / f"{missing}.jsonl") in problem


def test_everything_missing_is_told_at_once(tmp_path):
    first, second = data(tmp_path).problems("tldr")
    assert "train.jsonl" in first and "validation.jsonl" in second


def test_no_folder_is_a_problem(tmp_path):
    assert "data.path" in data(None).problems("tldr")[0]
    (problem,) = data(tmp_path / "nowhere").problems("tldr")
    assert str(tmp_path / "nowhere") in problem


BAD = {
    "malformed": '{"prompt": "a", "label": "b"',
    "missing column": {"prompt": "a", "summary": "b"},
    "null": {"prompt": "a", "label": None},
    "number": {"prompt": 3, "label": "b"},
    "object": {"prompt": {"text": "a"}, "label": "b"},
    "empty": {"prompt": "", "label": "b"},
    "white space": {"prompt": " \n\t ", "label": "b"},
    "empty label": {"prompt": "a", "label": ""},
    "not UTF-8": b'{"prompt": "caf\xe9", "label": "b"}',
    "list": ["a", "b"],
    "text": '"a"',
    "two rows on a line": '{"prompt": "a", "label": "b"}{"prompt": "c", "label": "d"}',
    "half of a surrogate pair": '{"prompt": "a \\ud83d", "label": "b"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_bad_row_is_a_problem_with_file_and_line(tmp_path, split, bad):
    files = write(tmp_path, **{split: [*rows("x", "y"), bad, *rows("z")]})
    (problem,) = files.problems("tldr")
    assert f"{tmp_path / split}.jsonl, line 3: " in problem
    with pytest.raises(ConfigError, match="line 3"):
        files.load("tldr")


def test_blank_lines_count_in_the_line_number(tmp_path):
    (problem,) = write(tmp_path, train=[*rows("x"), "", "", {}]).problems("tldr")
    assert "train.jsonl, line 4: " in problem


def test_a_missing_column_is_told_with_those_there_are(tmp_path):
    (problem,) = write(tmp_path, train=[{"prompt": "a", "summary": "b"}]).problems("tldr")
    assert "'label'" in problem and "'summary'" in problem and "data.label_column" in problem


@pytest.mark.parametrize(("count", "lines"), [(5, 5), (6, 6), (50, 6)])
def test_many_bad_rows_are_summarised(tmp_path, count, lines):
    problems = write(tmp_path, train=[*rows("x"), *[{"prompt": 1, "label": "b"}] * count]).problems("tldr")
    assert len(problems) == lines
    assert "line 2" in problems[0] and "line 6" in problems[4]
    if count > 5:
        assert f"{count - 5} more" in problems[5]


def test_bad_rows_of_every_file_are_told_at_once(tmp_path):
    problems = write(tmp_path, train=[["a"]], validation=[["b"]], test=[["c"]]).problems("tldr")
    assert [name in problem for name, problem in zip(("train", "validation", "test"), problems, strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("content", [[], ["", "  "]])
def test_an_empty_file_is_refused(tmp_path, split, content):
    files = write(tmp_path, **{split: content})
    (problem,) = files.problems("tldr")
    assert f"{split}.jsonl" in problem and "no rows" in problem
    with pytest.raises(ConfigError):
        files.load("tldr")


def test_a_prompt_given_twice_keeps_its_first_row(tmp_path):
    train = [*rows("a", "b"), {"prompt": "a ", "label": "another"}, *rows("c")]
    loaded = write(tmp_path, train=train).load("tldr").train
    assert loaded == [Row("a", "label of a"), Row("b", "label of b"), Row("c", "label of c")]


def test_prompts_of_a_held_out_split_are_dropped_from_train(tmp_path, caplog):
    files = write(tmp_path, train=rows("a", "b", "c", "d"), validation=rows("e", "b", "f"), test=rows("f", " c"))
    assert files.problems("tldr") == []
    splits = files.load("tldr")
    assert [row.prompt for row in splits.train] == ["a", "d"]
    assert [row.prompt for row in splits.validation] == ["e", "b"]
    assert [row.prompt for row in splits.test] == ["f", "c"]
    assert "train: 2 of 4 rows" in caplog.text and "validation: 1 of 3 rows" in caplog.text


def test_shared_prompts_are_refused_where_asked(tmp_path):
    write(tmp_path, train=rows("a", "b", "c"), validation=rows("e", "b "), test=rows("c"))
    problems = data(tmp_path, shared_prompts="refuse").problems("tldr")
    assert len(problems) == 2
    assert "train and validation" in problems[0] and "'b'" in problems[0]
    assert "train and test" in problems[1] and "'c'" in problems[1]


def test_a_clean_folder_passes_the_strict_check(tmp_path):
    write(tmp_path)
    files = data(tmp_path, shared_prompts="refuse")
    assert files.problems("tldr") == []
    assert len(files.load("tldr").train) == 4


@pytest.mark.parametrize(
    "emptied", [{"train": rows("a"), "validation": rows("a")}, {"validation": rows("b"), "test": rows("b")}]
)
def test_a_split_of_shared_prompts_only_is_refused(tmp_path, emptied):
    with pytest.raises(ConfigError, match="no row of (train|validation) is left"):
        write(tmp_path, **emptied).load("tldr")


def test_an_unknown_way_with_shared_prompts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shared_prompts=keep: expected drop or refuse"):
        data(tmp_path, shared_prompts="keep")


def test_rows_are_those_of_the_files(tmp_path: Path) -> None:
    for name, prompts in (("train", "aab"), ("validation", "bcc"), ("test", "cdd")):
        lines = [json.dumps({"prompt": prompt, "label": str(place)}) for place, prompt in enumerate(prompts)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    files = data(tmp_path)
    lying = files.rows("tldr").named()
    assert {name: "".join(row.prompt for row in rows) for name, rows in lying.items()} == {
        "train": "aab", "validation": "bcc", "test": "cdd"
    }  # fmt: skip
    assert [row.prompt for row in files.load("tldr").validation] == ["b"]
