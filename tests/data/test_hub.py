import functools
import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from src.cli.compose import compose_jobs
from src.cli.conf import CONF
from src.cli.read_config import read_config
from src.data.hub import HubData
from src.data.splits import Splits, shared_prompts
from src.records import Row
from src.runtime.errors import ConfigError
from tests.data import hub_sets
from tests.data.hub_sets import dialogue, post, write

Make = Callable[[Sequence[int]], hub_sets.Rows]
# source -> its task, what makes its rows, its own splits, the files below data_dir.
SCHEMAS: dict[str, tuple[str, Make, tuple[str, ...]]] = {
    "hub_tldr": ("tldr", hub_sets.tldr, ("train", "validation", "test")),
    "paper_tldr": ("tldr", hub_sets.openai_tldr, ("train", "valid", "test")),
    "hub_helpfulness": ("helpfulness", hub_sets.hh, ("train", "test")),
    "hub_harmlessness": ("harmlessness", hub_sets.hh, ("train", "test")),
    "paper_helpfulness": ("helpfulness", hub_sets.helpful_raw, ("train",)),
    "paper_harmlessness": ("harmlessness", hub_sets.hh_h4, ("train", "test")),
}
NAMES = {
    "parquet": "data/{}-00000-of-00001-0a1b.parquet",
    "jsonl": "{}.jsonl",
    "jsonl.gz": "{}.jsonl.gz",
    "csv": "{}.csv",
}
FIRST = {"train": 0, "validation": 100, "valid": 100, "test": 200}


@functools.cache
def composed(source: str) -> HubData:
    """The data of a source as its yaml has it."""
    jobs, problems = compose_jobs(["data=hub", f"task={SCHEMAS[source][0]}", f"source={source}"])
    assert not problems and not jobs[0].problems
    config, _ = read_config(jobs[0].plain)
    assert config is not None and isinstance(config.data, HubData)
    return config.data


def configured(source: str, path: Path | str, **changes: object) -> HubData:
    """The data of a source as its yaml has it, with another path and smaller splits."""
    data = composed(source)
    small = {"train": 20, "validation": 4} | ({"test": 5} if data.test_split is None else {})
    return replace(data, path=str(path), **(small | changes))  # type: ignore[arg-type]


def make(folder: Path, source: str, kind: str = "jsonl", rows: int = 30, **changes: object) -> HubData:
    """A local copy with so many rows a split, and its configuration."""
    _, rows_of, splits = SCHEMAS[source]
    data = configured(source, folder, **changes)
    for split in splits:
        name = NAMES[kind].format(split)
        if data.data_dir:
            name = f"{data.data_dir}/{Path(name).name}"
        write(folder / name, rows_of(range(FIRST[split], FIRST[split] + rows)))
    return data


def plain(folder: Path, **changes: object) -> HubData:
    """TRL's TL;DR schema, with what a test wrote in the folder."""
    return configured(
        "hub_tldr", folder, validation_split=None, test_split=None, validation=2, test=2, train=None, **changes
    )


def prompts(rows: list[Row] | None) -> list[str]:
    return [row.prompt for row in rows or []]


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


def test_shards_are_one_split(tmp_path: Path) -> None:
    for shard in range(3):
        write(
            tmp_path / f"data/train-0000{shard}-of-00003-ab.parquet", hub_sets.tldr(range(10 * shard, 10 * shard + 10))
        )
    splits = plain(tmp_path).load("any")
    assert {row.label for rows in splits.named().values() for row in rows} == {f"summary {n}" for n in range(30)}


def test_a_prompt_is_in_one_split_and_once_in_it(tmp_path: Path) -> None:
    twice = [*hub_sets.tldr(range(10)), {"prompt": post(3) + " \n", "completion": "another summary"}]
    write(tmp_path / "train.jsonl", [*twice, *hub_sets.tldr(range(100, 103)), *hub_sets.tldr(range(200, 204))])
    write(tmp_path / "validation.jsonl", [*hub_sets.tldr(range(100, 110)), *hub_sets.tldr(range(200, 202))])
    write(tmp_path / "test.jsonl", [*hub_sets.tldr(range(200, 210)), *hub_sets.tldr([205])])
    splits = configured("hub_tldr", tmp_path, train=None, validation=None).load("any")
    assert sorted(prompts(splits.train)) == sorted(post(n) for n in range(10))
    assert sorted(prompts(splits.validation)) == sorted(post(n) for n in range(100, 110))
    assert sorted(prompts(splits.test)) == sorted(post(n) for n in range(200, 210))
    assert {row.label for row in splits.train} == {f"summary {n}" for n in range(10)}  # the first of two


def test_repeated_prompts_are_gone_before_a_split_is_cut(tmp_path: Path) -> None:
    # As in the published helpfulness set: cut first, and the copies would stand on both sides.
    write(tmp_path / "train.jsonl", hub_sets.tldr([n % 12 for n in range(120)]))
    splits = plain(tmp_path).load("any")
    assert [len(rows) for rows in splits.named().values()] == [8, 2, 2]
    assert shared_prompts(splits) == []


def test_the_seed_makes_the_splits_and_more_training_rows_leave_the_others(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", hub_sets.tldr(range(40)))
    data = plain(tmp_path)
    assert data.load("any") == data.load("any")
    other = replace(data, seed=1).load("any")
    assert prompts(other.validation) != prompts(data.load("any").validation)
    few, many = replace(data, train=5).load("any"), data.load("any")
    assert (few.validation, few.test) == (many.validation, many.test)
    assert few.train == many.train[:5]
    assert prompts(many.train) != sorted(prompts(many.train))


def test_a_set_without_a_test_split_leaves_validation_for_the_final_evaluation(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", hub_sets.tldr(range(9)))
    splits = replace(plain(tmp_path), test=None).load("any")
    assert splits.test is None and splits.final() == "validation" and len(splits.train) == 7


def test_dates_numbers_and_missing_values_stay_the_text_they_are(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"2020-01-{n + 1:02}", "completion": text}
        for n, text in enumerate(["007", "NA", "null", "1e3", "a\n\nb, c"])
    ]
    for name in ("a/train.jsonl", "b/train.csv"):
        write(tmp_path / name, rows)
        data = replace(plain(tmp_path / name[0]), validation=1, test=None)
        splits = data.load("any")
        assert {row.label for row in [*splits.train, *splits.validation]} == {row["completion"] for row in rows}


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


BAD: dict[str, object] = {
    "'completion' is null": {"prompt": "a", "completion": None},
    "'prompt' is int": {"prompt": 3, "completion": "b"},
    "'completion' is list": {"prompt": "a", "completion": ["b"]},
    "'prompt' is empty": {"prompt": " \n", "completion": "b"},
    "'completion' is empty": {"prompt": "a", "completion": ""},
    "no column 'completion', only 'prompt', 'summary' (data.label_column names it)": {"prompt": "a", "summary": "b"},
    "expected a JSON object": ["a"],
    "half of a surrogate pair": '{"prompt": "a \\ud83d", "completion": "b"}',
    "Expecting": '{"prompt": "a"',
    "codec can't decode": b'{"prompt": "caf\xe9", "completion": "b"}',
}


@pytest.mark.parametrize("said", BAD)
@pytest.mark.parametrize("packed", [False, True])
def test_malformed_lines_are_named(tmp_path: Path, said: str, packed: bool) -> None:
    row = BAD[said]
    bad = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
    good = json.dumps(hub_sets.tldr([1])[0]).encode()
    text = b"\n".join([good, b"", bad, good])
    file = tmp_path / ("train.jsonl.gz" if packed else "train.jsonl")
    file.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(ConfigError) as caught:
        plain(tmp_path).load("any")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file}, line 3: ") and said in problem


def test_malformed_rows_of_all_files_are_told_at_once_and_not_all_of_them(tmp_path: Path) -> None:
    empty = {"prompt": "a", "completion": None}
    write(tmp_path / "train.parquet", [*hub_sets.tldr(range(2)), *[empty] * 9])
    write(tmp_path / "test.parquet", [empty, *hub_sets.tldr(range(2))])
    with pytest.raises(ConfigError) as caught:
        replace(plain(tmp_path), test_split="test").load("any")
    problems = caught.value.problems
    assert len(problems) == 7
    assert problems[0] == f"{tmp_path}/train.parquet, row 3: 'completion' is null, expected text"
    assert problems[5] == f"{tmp_path}/train.parquet: 4 more rows like these"
    assert problems[6].startswith(f"{tmp_path}/test.parquet, row 1: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,completion\na,b\nc,d,e\n", "row 2: 3 fields, and the header has 2"),
        ("prompt,completion\na\n", "row 1: 1 fields, and the header has 2"),
        ("prompt,completion\na,\n", "row 1: 'completion' is empty"),
        ("prompt,label\na,b\n", "row 1: no column 'completion', only 'prompt', 'label'"),
        ('prompt,completion\na,"b\n', "cannot be read"),
    ],
)
def test_malformed_csv_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(ConfigError, match=f"train.csv[,:] .*{said}"):
        plain(tmp_path).load("any")


@pytest.mark.parametrize("name", ["train.parquet", "train.jsonl.gz", "train.csv.gz"])
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither this nor that")
    with pytest.raises(ConfigError, match=f"{name}: cannot be read"):
        plain(tmp_path).load("any")


def test_a_file_cut_off(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl.gz", hub_sets.tldr(range(30)))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ConfigError, match="train.jsonl.gz: cannot be read"):
        plain(tmp_path).load("any")


def test_a_file_with_damage_inside(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl.gz", hub_sets.tldr(range(30)))
    content = bytearray(file.read_bytes())
    # Every block of deflate may not be there: what comes of it is zlib's own error.
    content[10:26] = b"\xff" * 16
    file.write_bytes(content)
    with pytest.raises(zlib.error):
        gzip.decompress(content)
    with pytest.raises(ConfigError, match="train.jsonl.gz: cannot be read"):
        plain(tmp_path).load("any")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    with pytest.raises(ConfigError, match="no rows in the split train"):
        plain(tmp_path).load("any")


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    data = make(tmp_path, "paper_tldr", "parquet")
    with pytest.raises(ConfigError, match="data.validation_split=validation: .* only test, train, valid"):
        replace(data, validation_split="validation").load("any")


def test_splits_that_take_all_of_train(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", hub_sets.tldr(range(4)))
    with pytest.raises(ConfigError, match="data.test=2, data.validation=2 leave nothing of the 4 different prompts"):
        plain(tmp_path).load("any")


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


def test_no_access_is_one_message_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        configured("hub_tldr", "nobody/nothing").load("any")
    (problem,) = caught.value.problems
    assert problem.startswith("nobody/nothing (revision 21233da376667088e6eb1ce4ce19ed832c2935d3) cannot be had here")
    assert "\n" not in problem
    assert all(way in problem for way in ("HF_HUB_OFFLINE=1", "data=files", "data.path=DIR", "cache", "data=embedded"))


def test_an_error_of_the_network_is_no_access_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses, a line that breaks: the libraries below have errors of their own for each."""

    class ProxyError(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise ProxyError("403 Forbidden")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"nobody/nothing .* cannot be had here: 403 Forbidden\. Any of these helps"):
        configured("hub_tldr", "nobody/nothing").load("any")


def test_what_the_cache_of_the_hub_has_is_read_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    data = configured("hub_helpfulness", "nobody/nothing", train=None)
    cached = tmp_path / "datasets--nobody--nothing" / "snapshots" / str(data.revision)
    make(cached, "hub_helpfulness", "jsonl.gz", 9)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    # The default is bound when the function is made.
    monkeypatch.setitem(huggingface_hub.snapshot_download.__kwdefaults__ or {}, "cache_dir", None)
    assert data.load("any") == replace(data, path=str(cached)).load("any")
    with pytest.raises(ConfigError, match="another"):
        replace(data, revision="another").load("any")


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


def test_the_fingerprint_is_of_every_text_and_split() -> None:
    splits = Splits([Row("a", "b", None, "c", "d")], [Row("e", "f")], [Row("g", "h")])
    others = [
        replace(splits, train=[Row("a", "b", None, "c", "x")]),
        replace(splits, train=[Row("a", "b", None, "x", "d")]),
        replace(splits, train=[Row("a", "x", None, "c", "d")]),
        replace(splits, validation=[Row("x", "f")]),
        replace(splits, test=None),
        replace(splits, test=[Row("g", "x")]),
        replace(splits, train=splits.train + splits.validation, validation=splits.test or [], test=[]),
        replace(splits, validation=splits.validation * 2),
    ]
    assert len({one.fingerprint() for one in [splits, *others]}) == 1 + len(others)
    assert splits.fingerprint() == replace(splits).fingerprint()
