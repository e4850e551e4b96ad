"""The keys that are printed at the end can be typed."""

import shlex
from pathlib import Path

import pytest

from src.cli.compose import compose_jobs
from src.reward_fitting.show import keys_of
from tests.classifiers import save_classifier


@pytest.mark.parametrize("name", ["reward", "outputs/reward/F=2,task=helpfulness", "it's, a {folder}"])
def test_what_is_said_to_be_typed_can_be(name: str, tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / name, "bert")
    said = keys_of("oracle", {"input": "pair", "max_length": 96}, folder)
    jobs, problems = compose_jobs(shlex.split(said))
    assert not problems and not jobs[0].problems
    oracle = jobs[0].plain["oracle"]
    assert (oracle["path"], oracle["input"], oracle["max_length"]) == (str(folder), "pair", 96)


def test_a_path_with_a_space_is_quoted_so_that_a_person_can_read_it() -> None:
    keys = keys_of("oracle", {"input": "text", "max_length": 5}, Path("/my models/rm"))
    assert keys == "oracle=reward_model \"oracle.path='/my models/rm'\" oracle.input=text oracle.max_length=5"
