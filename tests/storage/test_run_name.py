import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.storage.run_name import LONGEST_NAME, config_hash, run_name
from tests.properties import quick

keys = st.text(string.ascii_letters + string.digits + "_./@+-=,", min_size=1, max_size=20)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.none() | st.booleans() | numbers | texts | st.lists(numbers, max_size=3)
words = st.lists(texts | st.sampled_from(["tldr", "a-b", "a", "b", "F2", "seed0"]), min_size=1, max_size=7)
# Legal in every file system, plain to a shell, and within an unquoted value for Hydra.
PLAIN = set(string.ascii_letters + string.digits + "_.-+@")


def test_a_name_begins_with_the_words_then_the_experiment_then_the_other_keys_sorted():
    assert run_name(["tldr", "dpo", "F2"], {}) == "tldr-dpo-F2"
    name = run_name(["tldr", "seed0"], {"learning_rate": 0.001, "T": 32, "experiment": "smoke"})
    assert name == "tldr-seed0+experiment@smoke+T@32+learning_rate@0.001"


@quick
@given(words, st.dictionaries(keys, values, max_size=6))
def test_a_name_is_one_folder_of_plain_characters(begin, others):
    name = run_name(begin, others)
    assert 1 <= len(name) <= LONGEST_NAME == 180
    assert set(name) <= PLAIN and name not in (".", "..")
    assert name == run_name(begin, dict(reversed(others.items())))


@quick
@given(words, words, st.dictionaries(keys, texts, max_size=3), st.dictionaries(keys, texts, max_size=3))
def test_different_settings_have_different_names(begin, other_begin, others, more):
    same = (begin, others) == (other_begin, more)
    assert (run_name(begin, others) == run_name(other_begin, more)) == same
    assert (run_name(begin, others) == run_name(begin, more)) == (others == more)
    assert (run_name(begin, others) == run_name(other_begin, others)) == (begin == other_begin)


@quick
@given(numbers, numbers)
def test_different_numbers_give_different_names(one, other):
    assert (run_name(["a"], {"key": one}) == run_name(["a"], {"key": other})) == (one == other)


@pytest.mark.parametrize("value", ["ipo", 4, 0.0001, 2, -1, "T", None, True, "a_b-c", "v1.2"])
def test_short_plain_values_stand_as_they_are_typed(value):
    typed = {None: "null", True: "true"}.get(value, value) if value in (None, True) else value
    assert run_name(["a"], {"key": value}) == f"a+key@{typed}"


@pytest.mark.parametrize(("value", "other"), [("1", 1), ("null", None), ("true", True), (True, 1), ([1, 2], [1, 3])])
def test_a_text_is_kept_apart_from_the_value_that_it_looks_like(value, other):
    assert run_name(["a"], {"key": value}) != run_name(["a"], {"key": other})


def test_a_whole_number_is_one_value_with_and_without_a_point():
    assert run_name(["a"], {"key": 1.0}) == run_name(["a"], {"key": 1})
    assert config_hash({"key": [1.0]}) == config_hash({"key": [1]})


@pytest.mark.parametrize("path", ["/data/my runs/tldr", "../tldr", "~/tldr", "outputs/F=2/tldr", "./tldr/"])
def test_a_path_is_shortened_to_its_end_and_a_hash(path):
    name = run_name(["a"], {"data.path": path, "seed": 1})
    assert name.startswith("a+data.path@tldr@") and name.endswith("+seed@1")
    assert name != run_name(["a"], {"data.path": path + "x", "seed": 1})


def test_a_long_value_is_shortened_and_kept_apart():
    name = run_name(["a"], {"key": "a" * 41})
    assert len(name) < 40 and name != run_name(["a"], {"key": "a" * 42})
    assert run_name(["a"], {"key": "a" * 40}) == f"a+key@{'a' * 40}"


def test_a_long_name_is_cut_behind_its_words_and_kept_apart():
    many = {f"some.quite.long.key_{number}": "some_quite_long_value" for number in range(12)}
    begin = ["task", "loss", "F16", "reference", "allocation", "model", "seed0"]
    name = run_name(begin, {**many, "experiment": "named"})
    assert len(name) == LONGEST_NAME and name.startswith("-".join(begin) + "+experiment@named+")
    assert name != run_name(begin, {**many, "experiment": "named", "some.quite.long.key_9": "another_value"})


def test_words_of_any_length_and_with_any_character_fit():
    long = ["a" * 80, "b-c", "F" + "9" * 60, "漢" * 30, "allocation", "model", "seed" + "1" * 60]
    name = run_name(long, {"key": "value"})
    assert len(name) <= LONGEST_NAME and name.endswith("+key@value")
    assert run_name(["a-b", "c"], {}) != run_name(["a", "b-c"], {})


CONFIG = {
    "F": 2, "model": {"name": "tiny"}, "loss": {"_target_": "src.losses.dpo.DPO", "beta": 0.1},
    "oracle": {"_target_": "src.oracles.llm.LlmOracle", "cache": ".cache/llm", "model": "m"},
    "choices": {"loss": "dpo", "oracle": "llm", "experiment": "smoke"},
}  # fmt: skip


def test_the_config_hash_leaves_out_what_changes_no_result():
    how = {"force": True, "cache": "/tmp", "logger": None, "sampler": {}}
    assert config_hash(CONFIG) == config_hash(CONFIG | how)
    assert config_hash(CONFIG) == config_hash(dict(reversed(CONFIG.items())))
    assert config_hash(CONFIG) == config_hash(CONFIG | {"oracle": CONFIG["oracle"] | {"cache": "elsewhere"}})
    assert config_hash(CONFIG) == config_hash(CONFIG | {"choices": {"loss": "dpo", "oracle": "llm"}})
    assert config_hash(CONFIG) != config_hash(CONFIG | {"F": 4})
    assert config_hash(CONFIG) != config_hash(CONFIG | {"model": {"name": "other"}})


def test_the_config_hash_leaves_out_a_later_key_that_says_what_was_done_before():
    loss = CONFIG["loss"]
    assert config_hash(CONFIG | {"loss": loss | {"nll": 0.0, "weighting": "none"}}) == config_hash(CONFIG)
    others = [{"nll": 0.5, "weighting": "none"}, {"nll": 0.0, "weighting": "wpo"}]
    hashes = {config_hash(CONFIG | {"loss": loss | other}) for other in others}
    assert len(hashes | {config_hash(CONFIG)}) == 3


def test_the_config_hash_has_the_option_in_the_place_of_its_class():
    moved = CONFIG | {"loss": CONFIG["loss"] | {"_target_": "src.elsewhere.DPO"}}
    assert config_hash(moved) == config_hash(CONFIG)
    assert config_hash(CONFIG | {"choices": CONFIG["choices"] | {"loss": "slic"}}) != config_hash(CONFIG)
