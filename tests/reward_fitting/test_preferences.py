from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.collection.dataset_pairs import DatasetCollector
from src.data.splits import Splits
from src.data.world_tldr import TLDR
from src.oracles.base import FIRST, SECOND, Verdicts, draw_labels
from src.records import Prompt, Row
from src.reward_fitting.preferences import (
    Preference,
    given_preferences,
    gold_scorer,
    in_drawn_order,
    run_preferences,
    run_problems,
    split_by_prompt,
)
from src.run_folder.round_files import read_pairs
from src.runtime.errors import RunError
from tests.reward_fitting.made_pairs import comparison, run_folder


def preference(prompt: str = "p", scores: tuple[float, float] = (1.0, 0.0), **changes: float) -> Preference:
    noise = {"temperature": 0.0, "flip": 0.0} | changes
    return Preference(prompt, ("a", "b"), 0, scores, **noise)


@pytest.mark.parametrize("scores", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.1), (-2.0, -2.4)])
@pytest.mark.parametrize(("temperature", "flip"), [(0.0, 0.0), (0.0, 0.2), (0.5, 0.0), (0.5, 0.3)])
def test_clearness_is_how_often_the_better_score_is_chosen(
    scores: tuple[float, float], temperature: float, flip: float
) -> None:
    count = 20_000
    better = FIRST if scores[0] > scores[1] else SECOND
    verdicts = Verdicts(np.full(count, better), np.tile(scores, (count, 1)))
    flipped = draw_labels(verdicts, temperature, flip, np.random.default_rng(0))
    expected = preference("p", scores, temperature=temperature, flip=flip).clearness
    assert (flipped == better).mean() == pytest.approx(expected, abs=0.015)
    assert 0.5 <= expected <= 1


def test_pairs_of_runs_are_read_without_their_ties(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "one", [[comparison(0), comparison(1, None)], [comparison(2, 1)]])
    second = run_folder(tmp_path / "two", [[comparison(3)]], "{path: somewhere}")
    found, ties = run_preferences([first, second])
    assert ties == 1
    assert found[0] == Preference("prompt 0", ("good 0", "bad 0"), 0, (0.5, -1.0), 0.25, 0.1)
    assert [(one.prompt, one.chosen) for one in found[1:]] == [("prompt 2", 1), ("prompt 3", 0)]
    assert (found[2].temperature, found[2].flip) == (0.0, 0.0)


def test_a_pair_that_several_runs_have_counts_once_as_it_was_labelled_first(tmp_path: Path) -> None:
    turned = replace(comparison(0), responses=comparison(0).responses[::-1])
    first = run_folder(tmp_path / "one", [[comparison(0), comparison(1)], [comparison(0)]])
    second = run_folder(tmp_path / "two", [[turned, comparison(2)]])
    found, ties = run_preferences([first, second])
    assert [one.prompt for one in found] == ["prompt 0", "prompt 1", "prompt 2"] and ties == 0
    assert found[0].texts == ("good 0", "bad 0")


def test_read_pairs_gives_what_save_round_wrote(tmp_path: Path) -> None:
    written = [comparison(4), comparison(5, None), comparison(6, 1)]
    run_folder(tmp_path, [written])
    found = read_pairs(tmp_path / "pairs")
    assert [(one.responses, one.scores, one.chosen, one.logps) for one in found] == [
        (one.responses, one.scores, one.chosen, one.logps) for one in written
    ]
    assert [one.prompt.row.prompt for one in found] == ["prompt 4", "prompt 5", "prompt 6"]
    assert read_pairs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("end", ['{"prompt_id": 1, "pro', "[]", '{"prompt": "x"}', "null", "3"])
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, end: str) -> None:
    run_folder(tmp_path, [[comparison(0), comparison(1)]])
    file = tmp_path / "pairs" / "round_000.jsonl"
    file.write_text(file.read_text() + end)
    with pytest.raises(RunError, match=r"round_000.jsonl, line 3: no comparison of a run"):
        run_preferences([tmp_path])


def test_a_chosen_response_that_is_not_there_is_damage(tmp_path: Path) -> None:
    run_folder(tmp_path, [[comparison(0, 2)]])
    with pytest.raises(RunError, match="line 1: no comparison"):
        run_preferences([tmp_path])


@pytest.mark.parametrize("text", ["", "T: 4", "oracle: gold", "oracle: {temperature: warm}", "{", "- 1"])
def test_a_configuration_without_an_oracle_is_refused(tmp_path: Path, text: str) -> None:
    run_folder(tmp_path, [[comparison(0)]])
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match="config.yaml is no run's configuration"):
        run_preferences([tmp_path])


def test_what_is_no_run_is_found_at_once(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", [[comparison(0)]])
    (tmp_path / "empty" / "pairs").mkdir(parents=True)
    (tmp_path / "empty" / "config.yaml").write_text("")
    found = run_problems([run, tmp_path / "nowhere", tmp_path / "empty"])
    assert len(found) == 2 and "nowhere: no pairs of a run there" in found[0] and "empty: no pairs" in found[1]


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_no_prompt_is_on_both_sides(share: float, count: int) -> None:
    given = [preference(f"prompt {number % count}") for number in range(3 * count)]
    train, held_out = split_by_prompt(given, share, seed=3)
    prompts = {one.prompt for one in held_out}
    assert train and held_out and len(train) + len(held_out) == len(given)
    assert not prompts & {one.prompt for one in train}
    assert len(prompts) == min(max(1, round(share * count)), count - 1)
    assert split_by_prompt(given, share, seed=3) == (train, held_out)
    if count == 50:
        assert split_by_prompt(given, share, seed=4) != (train, held_out)


@pytest.mark.parametrize("given", [[], [preference()], [preference(), preference(scores=(3.0, 1.0))]])
def test_one_prompt_cannot_be_split(given: list[Preference]) -> None:
    with pytest.raises(RunError, match="expected pairs of two prompts or more"):
        split_by_prompt(given, 0.5, 0)


def test_gold_scores_are_had_where_the_data_have_the_prompt() -> None:
    facts = {"person": "sister", "event": "sold my bike", "wish": "peace", "feeling": "sad", "place": "at work"}
    splits = Splits([Row("known", "label", facts)], [], None, TLDR)
    asked = Preference("known", ("sister", "boss"), 1, (0.0, 0.0), 0.0, 0.0)
    assert gold_scorer(splits)(asked) == pytest.approx((2 - 0.04, -2 - 0.04))
    assert gold_scorer(splits)(preference("unknown")) is None
    assert gold_scorer(Splits([Row("known", "label")], [], None))(asked) is None


def test_how_clear_a_pair_is_cannot_be_known_without_scores() -> None:
    assert Preference("p", ("a", "b"), 0, None, 0.0, 0.0).clearness is None


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


def test_half_of_the_pairs_are_turned_round_with_all_that_is_said_of_them() -> None:
    given = [Preference(f"p{n}", ("good", "bad"), 0, None if n % 2 else (1.0, 0.0), 0.25, 0.1) for n in range(400)]
    found = in_drawn_order(given, seed=0)
    assert 160 < sum(one.chosen for one in found) < 240
    for before, one in zip(given, found, strict=True):
        assert one.prompt == before.prompt and one.texts[one.chosen] == "good" and one.texts[1 - one.chosen] == "bad"
        assert one.clearness == before.clearness
        assert one.scores is None if before.scores is None else one.scores[one.chosen] == 1.0
    assert in_drawn_order(given, seed=0) == found != in_drawn_order(given, seed=1)
