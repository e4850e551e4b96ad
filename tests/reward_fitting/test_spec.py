"""The settings of a fit."""

import dataclasses

import pytest

from src.reward_fitting.spec import RewardSpec

SPEC = RewardSpec(
    count=2, held_out=0.5, path=None, input="pair", max_length=64, batch_tokens=2000, steps=40, batch_size=16,
    learning_rate=0.01,
)  # fmt: skip


def test_bad_values_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)steps=0.*batch_size=-1.*count=1:.*held_out=1.0.*input=x.*path=/nowhere"):
        dataclasses.replace(SPEC, steps=0, batch_size=-1, count=1, held_out=1.0, input="x", path="/nowhere")
