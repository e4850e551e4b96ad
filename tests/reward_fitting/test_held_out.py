"""Gold scores of held-out pairs; figures and rows are tested in test_make."""

from dataclasses import replace

import pytest

from src.data.splits import Splits
from src.data.world_tldr import TLDR
from src.records import Row
from src.reward_fitting.held_out import gold_scorer
from src.reward_fitting.preferences import Preference


def test_gold_scores_are_had_where_the_data_have_the_prompt() -> None:
    facts = {"person": "sister", "event": "sold my bike", "wish": "peace", "feeling": "sad", "place": "at work"}
    splits = Splits([Row("known", "label", facts)], [], None, TLDR)
    asked = Preference("known", ("sister", "boss"), 1, (0.0, 0.0), 0.0, 0.0)
    assert gold_scorer(splits)(asked) == pytest.approx((2 - 0.04, -2 - 0.04))
    assert gold_scorer(splits)(replace(asked, prompt="unknown")) is None
    assert gold_scorer(Splits([Row("known", "label")], [], None))(asked) is None
