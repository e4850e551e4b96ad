from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from src.cli.conf import CONF
from src.data.splits import shared_prompts
from src.runtime.errors import ConfigError
from tests.data import hub_sets
from tests.data.hub_data import FIRST, SCHEMAS, configured, make, plain
from tests.data.hub_sets import dialogue, post, write

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("source", SCHEMAS)
def test_every_schema_gives_prompts_and_labels(tmp_path: Path, source: str) -> None:
    data = make(tmp_path, source, "parquet")
    assert data.problems("any") == []
    splits = data.load("any")
    assert len(splits.train) == 20 and len(splits.validation) == 4
    assert splits.test is not None and len(splits.test) == (5 if source == "paper_helpfulness" else 30)
    assert shared_prompts(splits) == [] and splits.world is None
    expected = {
        "hub_tldr": (post, "summary {}"),
        "paper_tldr": (post, "summary {}"),
        "paper_helpfulness": (lambda n: f"question {n}? Assistant:", "answer {}"),
    }.get(source, (lambda n: dialogue(n, "").strip(), "good {}"))
    by_prompt = {expected[0](n): n for n in range(300)}
    for name, rows in splits.named().items():
        for row in rows:
            number = by_prompt[row.prompt]
            assert row.label == expected[1].format(number)
            own = FIRST[name] if name == "test" and source != "paper_helpfulness" else None
            assert own is None or own <= number < own + 30
            assert (row.chosen, row.rejected) == (
                (f"good {number}", f"bad {number}") if data.has_preferences else (None, None)
            )
    assert data.has_preferences == (source in ("hub_helpfulness", "hub_harmlessness", "paper_harmlessness"))


@pytest.mark.parametrize("source", [name for name in SCHEMAS if name != "paper_harmlessness"])  # lists are not for CSV
@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv"])
def test_every_format_gives_the_same_rows(tmp_path: Path, source: str, kind: str) -> None:
    parquet = make(tmp_path / "parquet", source, "parquet").load("any")
    other = make(tmp_path / "other", source, kind)
    assert other.load("any") == parquet


def test_messages_give_the_prompts_that_text_gives(tmp_path: Path) -> None:
    # The sets differ in nothing but how they write a dialogue down.
    text, messages = make(tmp_path / "a", "hub_helpfulness"), make(tmp_path / "b", "paper_harmlessness")
    assert text.load("any") == messages.load("any")


def test_a_set_without_a_test_split_leaves_validation_for_the_final_evaluation(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", hub_sets.tldr(range(9)))
    splits = replace(plain(tmp_path), test=None).load("any")
    assert splits.test is None and splits.final() == "validation" and len(splits.train) == 7


def test_dialogues_without_a_reply_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        {"chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "rejected": dialogue(1, "x")},
        {"chosen": "\n\nHuman: a\n\nAssistant:", "rejected": dialogue(1, "x")},
    ]
    folder = tmp_path / "helpful-base"
    write(folder / "train.jsonl", [bad[0], *hub_sets.hh(range(10)), bad[1]])
    write(folder / "test.jsonl", hub_sets.hh(range(200, 203)))
    data = configured("hub_helpfulness", tmp_path, train=None)
    splits = data.load("any")
    assert len(splits.train) == 6
    assert "2 rows have no text" in caplog.text and "train.jsonl, line 1" in caplog.text
    with pytest.raises(ConfigError) as caught:
        replace(data, rows_without_text="refuse").load("any")
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        f"{folder}/train.jsonl, line 1", f"{folder}/train.jsonl, line 12"
    ]  # fmt: skip


def test_dialogues_that_part_before_their_last_reply_are_no_pair(tmp_path: Path) -> None:
    odd = [
        {"chosen": dialogue(0, "good"), "rejected": dialogue(1, "bad")},
        {"chosen": dialogue(2, "good"), "rejected": dialogue(2, "")},
        {"chosen": dialogue(3, "good"), "rejected": "\n\nHuman: question 3?\n\nAssistant: Which?"},
    ]
    folder = tmp_path / "helpful-base"
    write(folder / "train.jsonl", [*odd, *hub_sets.hh(range(10, 20))])
    write(folder / "test.jsonl", hub_sets.hh(range(200, 203)))
    splits = configured("hub_helpfulness", tmp_path, train=None).load("any")
    found = {row.label: row for row in [*splits.train, *splits.validation]}
    assert len(splits.train) + len(splits.validation) == 13
    assert found["good 10"].rejected == "bad 10"
    pairless = [row for row in [*splits.train, *splits.validation] if row.label == "good"]
    assert len(pairless) == 3 and all(row.chosen is None and row.rejected is None for row in pairless)


def test_explicit_preferences(tmp_path: Path) -> None:
    # trl-lib/tldr-preference
    rows = [{"prompt": post(n), "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(6)]
    write(tmp_path / "train.parquet", rows)
    data = replace(plain(tmp_path), label_column="chosen", chosen_column="chosen", rejected_column="rejected")
    assert data.has_preferences
    for row in data.load("any").train:
        number = row.label.split()[1]
        assert (row.label, row.chosen, row.rejected) == (f"good {number}", f"good {number}", f"bad {number}")


def test_a_folder_that_is_not_there_or_has_no_data(tmp_path: Path) -> None:
    data = plain(tmp_path)
    assert "no data files" in data.problems("any")[0]
    assert "no such folder" in replace(data, path=str(tmp_path / "no")).problems("any")[0]
    (problem,) = replace(data, data_dir="helpful-base").problems("any")
    assert "helpful-base; data.data_dir=null reads data.path itself" in problem
    assert "no name on the hub" in replace(data, path="some words").problems("any")[0]
    assert replace(data, path="owner/name").problems("any") == []
    with pytest.raises(ConfigError):
        data.load("any")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layout": "table"}, "layout=table"),
        ({"prompt_column": None}, "prompt_column=null: expected a column"),
        ({"layout": "dialogue"}, "prompt_column=prompt: expected .* null with layout=dialogue"),
        ({"prompt_suffix": " A: "}, "no prompt may end in white space"),
        ({"rows_without_text": "keep"}, "expected drop or refuse"),
        ({"validation_split": "test"}, "train, test, test: expected different"),
        ({"validation_split": None, "validation": None}, "validation=null: expected a number"),
        ({"train": 0}, "train=0: expected at least 1"),
        ({"chosen_column": "chosen"}, "chosen_column=chosen, rejected_column=null: expected both"),
    ],
)
def test_values_out_of_range_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(configured("hub_tldr", tmp_path), **changes)  # type: ignore[arg-type]


def test_every_source_pins_a_commit() -> None:
    files = list((CONF / "source").glob("*.yaml"))
    assert len(files) == len(SCHEMAS)
    for file in files:
        revision = yaml.safe_load(file.read_text())["data"].get("revision")
        assert file.stem == "hub_harmlessness" or (len(revision) == 40 and int(revision, 16))
