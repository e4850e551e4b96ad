import pytest

from src.data.embedded import WORLDS, EmbeddedData


def data(seed: int = 0, train: int = 60, validation: int = 20, test: int = 30) -> EmbeddedData:
    return EmbeddedData(train, validation, test, seed)


@pytest.mark.parametrize("task", WORLDS)
def test_splits_have_their_sizes_and_share_no_prompt(task):
    splits = data().load(task)
    assert {name: len(rows) for name, rows in splits.named().items()} == {"train": 60, "validation": 20, "test": 30}
    prompts = [row.prompt for rows in splits.named().values() for row in rows]
    assert len(set(prompts)) == len(prompts)
    assert splits.world is WORLDS[task]
    assert splits.final() == "test"


@pytest.mark.parametrize("task", WORLDS)
def test_the_seed_makes_the_data(task):
    assert data(seed=3).load(task) == data(seed=3).load(task)
    assert data(seed=3).load(task).train != data(seed=4).load(task).train


@pytest.mark.parametrize("task", WORLDS)
def test_more_training_rows_leave_the_others_as_they_are(task):
    # So that a result stays comparable when only the train split grows.
    small, large = data(train=10).load(task), data(train=60).load(task)
    assert small.validation == large.validation and small.test == large.test
    assert large.train[:10] == small.train


@pytest.mark.parametrize("task", WORLDS)
def test_prompts_do_not_end_in_white_space_and_labels_are_text(task):
    for rows in data().load(task).named().values():
        for row in rows:
            assert row.prompt == row.prompt.strip()
            assert row.label == row.label.strip() != ""
            assert row.facts is not None


@pytest.mark.parametrize("task", WORLDS)
def test_a_known_task_is_no_problem(task):
    assert data().problems(task) == []


def test_an_unknown_task_is_a_problem_that_says_what_there_is():
    (problem,) = data().problems("harmlessness")
    assert "harmlessness" in problem and all(task in problem for task in WORLDS)


def test_sizes_out_of_range_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)train=0: expected.*validation=20001: expected.*test=-1: expected"):
        EmbeddedData(0, 20_001, -1, seed=0)
