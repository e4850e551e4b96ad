"""Splits as they are cut from a source."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.data.splits import shared_prompts
from src.runtime.errors import ConfigError
from tests.data import hub_sets
from tests.data.hub_data import configured, plain, prompts
from tests.data.hub_sets import post, write


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


def test_splits_that_take_all_of_train(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", hub_sets.tldr(range(4)))
    with pytest.raises(ConfigError, match="data.test=2, data.validation=2 leave nothing of the 4 different prompts"):
        plain(tmp_path).load("any")
