import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.storage.run_name import LONGEST_NAME, config_hash, run_name
from tests.properties import quick

keys = st.text(string.ascii_letters + string.digits + "_./@", min_size=1, max_size=20)
values = st.text(st.characters(codec="utf-8"), max_size=60)
# What Hydra takes: key=value, with + or ++ before it, and the deletions ~key and ~key=value.
overrides = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["", "+", "++", "~"]), keys, values), st.builds("~{}".format, keys)
)


def test_without_overrides_the_name_is_default():
    assert run_name([]) == "default"
    assert run_name(["force=true"]) == "default"


def test_the_order_of_the_overrides_does_not_matter():
    assert run_name(["loss=ipo", "F=4", "seed=1"]) == run_name(["seed=1", "F=4", "loss=ipo"]) == "F=4,loss=ipo,seed=1"


@quick
@given(st.lists(overrides, max_size=6), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_name(given_overrides, random):
    shuffled = list(given_overrides)
    random.shuffle(shuffled)
    assert run_name(shuffled) == run_name(given_overrides)


@pytest.mark.parametrize(
    "how",
    [
        "force=true",
        "force=false",
        "+force=true",
        "++force=true",
        "logger=wandb",
        "logger.mode=online",
        "sampler=vllm",
        "sampler.urls=[a]",
    ],
)
def test_how_a_run_is_run_has_no_part_in_the_name(how):
    assert run_name(["seed=1", how]) == run_name(["seed=1"])


@pytest.mark.parametrize("override", ["+seed=1", "++seed=1"])
def test_a_plus_has_no_part_in_the_name(override):
    assert run_name([override, "F=4"]) == run_name(["seed=1", "F=4"])


@pytest.mark.parametrize("value", ["ipo", "4", "1e-4", "2.0e-4", "-1", "T", "null", "a_b-c", "1,2"])
def test_plain_values_are_kept_as_they_are(value):
    assert run_name([f"key={value}"]) == f"key={value}"


@pytest.mark.parametrize("path", ["/data/my runs/tldr", "../tldr", "~/tldr", "outputs/F=2/tldr", "./tldr/"])
def test_a_path_is_shortened_to_its_end_and_a_hash(path):
    name = run_name([f"data.path={path}", "seed=1"])
    assert name.startswith("data.path=tldr-") and name.endswith(",seed=1")
    assert "/" not in name and " " not in name
    assert name != run_name([f"data.path={path}x", "seed=1"])


def test_paths_that_end_alike_have_different_names():
    assert run_name(["data.path=/a/tldr"]) != run_name(["data.path=/b/tldr"])


def test_a_group_below_a_group_is_no_folder():
    assert run_name(["hydra/launcher=basic"]) == "hydra_launcher=basic"
    assert run_name(["optimizer.betas=[0.9,0.95]"]) != run_name(["optimizer.betas=[0.9,0.96]"])


def test_a_long_value_is_shortened_and_kept_apart():
    name = run_name([f"key={'a' * 41}"])
    assert len(name) < 40
    assert name != run_name([f"key={'a' * 42}"])
    assert run_name([f"key={'a' * 40}"]) == f"key={'a' * 40}"


def test_a_long_name_is_cut_and_kept_apart():
    many = [f"some.quite.long.key_{number}=some_quite_long_value" for number in range(12)]
    other = [*many[:-1], "some.quite.long.key_9=another_value"]
    assert len(run_name(many)) <= LONGEST_NAME == 180
    assert run_name(many) != run_name(other)
    assert run_name(many) == run_name(many[::-1])


@quick
@given(st.lists(overrides, max_size=12))
def test_a_name_is_always_one_folder(given_overrides):
    name = run_name(given_overrides)
    assert 1 <= len(name) <= LONGEST_NAME
    assert not set(name) & {"/", "\0", "\n"}
    assert name not in (".", "..")


@pytest.mark.parametrize("override", ["~hydra/launcher", "~experiment", "~optimizer.eps", "~."])
def test_a_deletion_is_one_folder_too(override):
    name = run_name([override])
    assert "/" not in name and name not in (".", "..")
    assert name != run_name([])


def test_a_name_fits_a_file_system_in_any_alphabet():
    # File systems count bytes: 255 of them.
    assert len(run_name([f"key_{number}={'漢' * 30}" for number in range(8)]).encode()) <= 255


@quick
@given(keys, values, values)
def test_different_values_give_different_names(key, one, other):
    assert (run_name([f"{key}={one}"]) == run_name([f"{key}={other}"])) == (one == other)


def test_the_config_hash_leaves_out_what_changes_no_result():
    config = {"F": 2, "model": {"name": "tiny"}, "force": False, "cache": ".cache", "logger": {"mode": "offline"}}
    assert config_hash(config) == config_hash(config | {"force": True, "cache": "/tmp", "logger": None, "sampler": {}})
    assert config_hash(config) == config_hash(dict(reversed(config.items())))
    assert config_hash(config) != config_hash(config | {"F": 4})
    assert config_hash(config) != config_hash(config | {"model": {"name": "other"}})
