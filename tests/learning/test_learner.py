"""Single steps; tests/test_exactness.py has the learner in whole runs."""

from collections.abc import Callable

import pytest
import torch

from src.learning.learner import Learner, as_pair_logps
from src.loop import Experiment
from src.losses.dpo import DPO
from src.records import Comparison, Prompt, Response, Row
from src.runtime.errors import RunError

Build = Callable[..., Experiment]
PROMPT = Prompt(7, Row("what?", "that"), (40, 50, 60), (5,))
ALL = ("behavior", "reference", "sft")


def pair(chosen: int | None, first: tuple[int, ...] = (1, 2), second: tuple[int, ...] = (3,)) -> Comparison:
    logps = dict.fromkeys(ALL, (-4.0, -5.0))
    return Comparison(PROMPT, (Response(first, "a"), Response(second, "b")), None, chosen, logps)


def test_log_probs_are_sorted_into_chosen_and_rejected_for_every_member() -> None:
    pairs = [pair(0), pair(1), pair(1, first=(1, 2, 3))]
    logps = torch.arange(12.0).reshape(2, 3, 2)
    sorted_logps = as_pair_logps(pairs, logps)
    assert sorted_logps.chosen.tolist() == [0, 3, 5, 6, 9, 11]
    assert sorted_logps.rejected.tolist() == [1, 2, 4, 7, 8, 10]
    assert sorted_logps.reference_chosen.tolist() == [-4, -5, -5] * 2
    assert sorted_logps.reference_rejected.tolist() == [-5, -4, -4] * 2
    assert sorted_logps.chosen_tokens.tolist() == [2, 1, 1] * 2
    assert sorted_logps.rejected_tokens.tolist() == [1, 2, 3] * 2


def learner(run: Experiment, **changes: object) -> Learner:
    made = run.learner
    spec = type(made.spec)(**vars(made.spec) | changes)
    return Learner(
        made.policy, DPO(beta=0.1, label_smoothing=0.0, length_normalize=False), made.scorer, spec, 0.01, T=4
    )


@pytest.mark.parametrize(("schedule", "expected"), [("linear", [0.01, 0.0075, 0.0025]), ("constant", [0.01] * 3)])
def test_the_learning_rate_follows_the_schedule(experiment: Build, schedule: str, expected: list[float]) -> None:
    taking = learner(experiment(), schedule=schedule)
    assert [taking.step(step, [pair(0)])["lr"] for step in (0, 1, 3)] == pytest.approx(expected)


def test_a_step_makes_the_chosen_response_likelier_and_leaves_ties_out(experiment: Build) -> None:
    run = experiment()
    taking = learner(run)
    first = taking.step(0, [pair(0), pair(None)])
    again = taking.step(1, [pair(0), pair(None)])
    assert first["pairs"] == again["pairs"] == 1
    assert again["loss"] < first["loss"] and again["rewards/margins"] > first["rewards/margins"]


def test_without_a_pair_nothing_moves_and_metrics_are_none(experiment: Build) -> None:
    run = experiment()
    before = {name: tensor.clone() for name, tensor in run.policy.state().items()}
    metrics = learner(run).step(0, [pair(None)])
    assert metrics["loss"] is None and metrics["grad_norm"] is None and metrics["pairs"] == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.policy.state().items())


def test_a_loss_that_is_not_finite_names_its_pair_and_leaves_everything_as_it_was(experiment: Build) -> None:
    run = experiment()
    taking = learner(run)
    taking.step(0, [pair(0)])
    before = {name: tensor.clone() for name, tensor in run.policy.state().items()}
    bad = pair(0)
    bad.logps["reference"] = (float("nan"), -5.0)  # type: ignore[index]
    with pytest.raises(RunError, match=r"step 1, pair 1 of 2 \(prompt 7\): the loss is nan; lower learning_rate"):
        taking.step(1, [pair(1), pair(None), bad])
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.policy.state().items())
    assert all(tensor.grad is None for tensor in run.policy.trainable().values())
