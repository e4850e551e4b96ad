"""Files of responses: what ends a line, what is refused, and which response belongs to which prompt."""

import json
from pathlib import Path

import pytest

from src.after_training.responses_file import Responses, by_prompt, missing, read_responses
from src.records import Row

SEPARATORS = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\reight"
ROWS = [Row("a", "A"), Row("b", "B"), Row("a", "again"), Row("c", "C")]


def read(path: Path, content: str | bytes) -> Responses:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    responses, problems = read_responses(path)
    assert responses is not None, problems
    return responses


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x\ny\n", ["x", "y"]),
        ("x\ny", ["x", "y"]),
        ("x\r\ny\r\n", ["x", "y"]),
        ("\ufeffx\ny\n", ["x", "y"]),
        ("x\n\n y \n", ["x", "", "y"]),
        ("\n\n", ["", ""]),
        ("\n", [""]),
        (f"{SEPARATORS}\nü\n", [SEPARATORS, "ü"]),
    ],
)
def test_a_line_of_text_is_a_response(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert read(tmp_path / "out.txt", content) == Responses(tmp_path / "out.txt", expected, None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_json_lines(tmp_path: Path, end: str) -> None:
    rows = [{"response": f" {SEPARATORS}\nlines "}, {"response": "", "score": 3}]
    for ensure in (True, False):
        content = "".join(json.dumps(row, ensure_ascii=ensure) + end for row in rows)
        assert read(tmp_path / "out.jsonl", content).texts == [f"{SEPARATORS}\nlines", ""]
    named = read(tmp_path / "out.jsonl", end.join(json.dumps({"prompt": f" {i}", "response": "x"}) for i in range(3)))
    assert named.prompts == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("out.md", "x\n", "expected a .txt file"),
        ("out.csv", "x\n", "no responses"),
        ("out.txt", None, "no such file"),
        ("out.txt", "", "no responses"),
        ("out.jsonl", "\n\n", "no responses"),
        ("out.txt", b"a\n\xff\n", "cannot be read (line 2: 'utf-8' codec can't decode byte 0xff"),
        ("out.jsonl", '{"response": "x"}\n{"respon', "line 2: Unterminated string"),
        ("out.jsonl", '{"answer": "x"}\n', "line 1: no field 'response', only 'answer'"),
        ("out.jsonl", '["x"]\n', "line 1: expected a JSON object, got list"),
        ("out.jsonl", '{"response": null}\n', "line 1: 'response' is null, expected text"),
        ("out.jsonl", '{"response": "\\ud83d"}\n', "half of a surrogate pair"),
        ("out.jsonl", '{"response": "x", "prompt": "a"}\n{"response": "y"}\n', "1 of 2 rows have a prompt"),
        ("out.jsonl", "[\n" * 5, "2 more rows like these"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str | bytes | None, expected: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    responses, problems = read_responses(path)
    assert responses is None and any(expected in line and str(path) in line for line in problems), problems


def test_in_order_the_first_of_a_repeated_prompt_counts() -> None:
    responses = Responses(Path("out.txt"), ["1", "2", "3", "4"], None)
    found, notes, problems = by_prompt(responses, ROWS, "test")
    assert found == {"a": "1", "b": "2", "c": "4"} and not problems
    assert notes == ["out.txt: 1 responses to a prompt that has one already are left out"]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_as_many_lines_as_rows(count: int) -> None:
    _, _, problems = by_prompt(Responses(Path("out.txt"), ["x"] * (count - 1) + [""], None), ROWS, "test")
    assert problems == [
        f"out.txt: got {count} responses (the last one is empty), and test has 4 rows; expected as many"
    ]


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        (Responses(Path("o.txt"), ["x"] * 5, None), "o.txt: got 5 responses, and test has 4 rows{}; expected as many"),
        (Responses(Path("o.jsonl"), ["x"], ["z"]), "o.jsonl: 1 of 1 prompts are none of test's{}, for example 'z'"),
    ],
)
def test_where_the_data_drop_rows_without_text_the_message_says_so(responses: Responses, expected: str) -> None:
    dropped = " (the source's rows without text are left out: data.rows_without_text=drop)"
    for only_with_text, said in ((False, ""), (True, dropped)):
        assert by_prompt(responses, ROWS, "test", only_with_text)[2] == [expected.format(said)]


def test_by_prompt_the_order_is_free() -> None:
    responses = Responses(Path("out.jsonl"), ["3", "1", "9"], ["c", "a", "c"])
    found, notes, problems = by_prompt(responses, ROWS, "test")
    assert found == {"c": "3", "a": "1"} and len(notes) == 1 and not problems
    assert missing(responses, found, ["a", "c"], "test") == []
    assert (
        "1 of 3 prompts of test have no response there, for example 'b'"
        in missing(responses, found, ["a", "b", "c"], "test")[0]
    )


def test_an_unknown_prompt_is_refused() -> None:
    _, _, problems = by_prompt(Responses(Path("out.jsonl"), ["1", "2"], ["a", "z"]), ROWS, "test")
    assert problems == ["out.jsonl: 1 of 2 prompts are none of test's, for example 'z'"]
