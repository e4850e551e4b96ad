"""The data's own pairs as preferences; those sampled here are tested in test_make and tests/allocation/test_runs."""

from src.collection.dataset_pairs import DatasetCollector
from src.records import Prompt, Row
from src.reward_fitting.collect import given_preferences


def test_the_datas_own_pairs_are_used_once_up_to_a_count() -> None:
    rows = [Row(f"prompt {n}", "label", None, f"good {n}", f"bad {n}" if n % 3 else f"good {n}") for n in range(30)]
    prompts = [Prompt(n, row, (2,), (1,), ((5,) * (1 + n // 27), (6,))) for n, row in enumerate(rows)]
    found = given_preferences(prompts, DatasetCollector(max_new_tokens=1), 1000, seed=0)
    fit = {f"prompt {n}" for n in range(27) if n % 3}
    assert {one.prompt for one in found} == fit and len(found) == len(fit)
    assert [one.prompt for one in found] != sorted(fit, key=lambda prompt: int(prompt.split()[1]))
    assert all(one.texts[one.chosen].startswith("good") and one.scores is None for one in found)
    assert all(one.clearness is None for one in found)
    assert given_preferences(prompts, DatasetCollector(1), 5, seed=0) == found[:5]
    assert given_preferences(prompts, DatasetCollector(1), 5, seed=1) != found[:5]
