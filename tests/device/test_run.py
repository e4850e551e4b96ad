"""Whole runs on the device at smoke size: every round new pairs, several members, stopped and gone on with."""

from pathlib import Path

import pytest
import torch

from src.learning.learner import Learner
from tests.experiments import built, left_behind

# tests/test_train.py has the same, at every write, on the processor.
pytestmark = pytest.mark.nightly

OVERRIDES = ("F=T", "model=tiny_lora", "ensemble=2", "checkpoint_every=2")
# Figures of two runs on one GPU, which adds up in an order of its own.
NEAR = 2e-3


class Killed(Exception):
    """Stands for the end of a process."""


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    device: torch.device, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(tmp_path / "whole", cache, *OVERRIDES, f"device={device}")
    assert whole.learner.policy.device.type == device.type
    whole.run()
    real = Learner.step

    def dying(self: Learner, step: int, *arguments: object) -> object:
        if step == 3:
            raise Killed
        return real(self, step, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", dying)
        with pytest.raises(Killed):
            built(tmp_path / "cut", cache, *OVERRIDES, f"device={device}").run()
    built(tmp_path / "cut", cache, *OVERRIDES, f"device={device}").run()
    found, expected = left_behind(tmp_path / "cut"), left_behind(tmp_path / "whole")
    assert len(found["metrics"]) == len(expected["metrics"]) == 4
    if device.type == "cpu":
        assert found == expected
        return
    for ours, theirs in zip(found["metrics"], expected["metrics"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=NEAR)
    assert all(row["memory/peak"] > 0 for row in found["metrics"] if "memory/peak" in row)
