"""Files of a round that are not what was written: named, whatever lies in their place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.models.template import Template
from src.records import Comparison, Prompt, Response, Row, Tally
from src.run_folder.round_files import (
    load_plan,
    load_round,
    read_pairs,
    round_files,
    round_problem,
    save_plan,
    save_round,
)
from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.signed import signed
from tests.allocation.made_plan import PLAN
from tests.families import make_tokenizer

PROMPT = Prompt(7, Row("what?", "that"), (3, 4), (5,))
PAIRS = [
    Comparison(PROMPT, (Response((1, 2), "a"), Response((), "")), (0.5, -1.0), 0, {"sft": (-1.0, -2.0)}),
    Comparison(PROMPT, (Response((1,), "b"), Response((9,), "c")), None, None, {"sft": (-3.0, -2.5)}),
]


NAMES = ("plan_001.json", "round_001.json", "round_001.jsonl")
OTHERS = ("plan_000.json", "plan_001.json", "round_000.json", "round_001.json", "identity")


def saved(folder: Path) -> Path:
    for number in (0, 1):
        save_plan(folder, number, replace(PLAN, generated=number))
        save_round(folder, number, PAIRS, 5, Tally(), "hash")
    return folder


def test_a_round_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = saved(tmp_path / "pairs")
    assert round_problem(folder, 1, "hash") is None
    assert load_round(folder, 1, [PROMPT]) == (PAIRS, 5, Tally())
    assert round_problem(folder, 1, "other") == f"{folder / 'round_001.json'} is of a run of another configuration"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path)
    (folder / name).unlink()
    assert round_problem(folder, 1, "hash") == f"{folder / name} is missing"


def test_a_round_of_an_earlier_version_has_no_plan(tmp_path: Path) -> None:
    save_round(tmp_path, 0, PAIRS, 5, Tally(), "hash")
    assert round_problem(tmp_path, 0, "hash") is None and load_plan(tmp_path, 0) is None


@pytest.mark.parametrize(("name", "other"), [(name, other) for name in NAMES for other in OTHERS if name != other])
def test_another_signed_file_in_its_place_is_named(tmp_path: Path, name: str, other: str) -> None:
    folder = saved(tmp_path)
    content = json.dumps(signed({"loss": "dpo"})) if other == "identity" else (folder / other).read_text()
    write_text(folder / name, content)
    problem = round_problem(folder, 1, "hash")
    assert problem is not None and problem.startswith(f"{folder / name} is damaged")
    if name.startswith("plan"):
        with pytest.raises(RunError, match=name):
            load_plan(folder, 1)


def test_rounds_are_read_in_their_order_and_copies_are_none(tmp_path: Path) -> None:
    for number in (1000, 101, 2):
        save_round(tmp_path, number, PAIRS, 5, Tally(), "hash")
    for name in ("round_002 (copy).jsonl", "round_2.jsonl", "round_002.jsonl~"):
        (tmp_path / name).write_bytes((tmp_path / "round_002.jsonl").read_bytes())
    assert list(round_files(tmp_path)) == [2, 101, 1000]
    assert len(read_pairs(tmp_path)) == 3 * len(PAIRS)


def test_pairs_under_another_rounds_name_are_refused(tmp_path: Path) -> None:
    save_round(tmp_path, 1, PAIRS, 5, Tally(), "hash")
    for suffix in ("jsonl", "json"):
        (tmp_path / f"round_007.{suffix}").write_bytes((tmp_path / f"round_001.{suffix}").read_bytes())
    with pytest.raises(RunError, match=r"round_007\.jsonl, line 1: no comparison of a run"):
        read_pairs(tmp_path)


def test_texts_continue_the_prompt_and_are_read_as_the_oracle_read_them(tmp_path: Path) -> None:
    template = Template(make_tokenizer(), "plain")
    ids = [template.response_ids("It is blue."), template.response_ids("a label\n")[:-1]]
    letters = tuple(id for letter in " label" for id in template._within_text([letter])[0])
    pairs = [
        Comparison(PROMPT, (Response(first, template.text(first)), Response(second, template.text(second))), None, 0)
        for first, second in (ids, (letters, (0,)))
    ]
    save_round(tmp_path, 0, pairs, 5, Tally(), "hash", template.continuation)
    assert load_round(tmp_path, 0, [PROMPT])[0] == pairs == read_pairs_of(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "round_000.jsonl").read_text().splitlines()]
    responses = [response for row in rows for response in row["responses"]]
    assert [response["text"] for response in responses] == [" It is blue.", " a label\n", " label", ""]
    # The policy spelled the third one in letters, which no text would be encoded to.
    assert [response["exact"] for response in responses] == [True, True, False, True]


def test_a_text_that_the_ids_do_not_give_stays_the_oracles(tmp_path: Path) -> None:
    pair = Comparison(PROMPT, (Response((1, 2), "Façade"), Response((3,), "b")), None, 0)
    save_round(tmp_path, 0, [pair], 5, Tally(), "hash", lambda ids: (" facade", True))
    first, _ = json.loads((tmp_path / "round_000.jsonl").read_text())["responses"]
    assert (first["text"], first["exact"]) == (" Façade", False)


def read_pairs_of(folder: Path) -> list[Comparison]:
    """The pairs as they are read without the run's data, with the prompt that the tests use."""
    return [replace(pair, prompt=PROMPT) for pair in read_pairs(folder)]
