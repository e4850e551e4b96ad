"""Single steps; tests/test_exactness.py has the learner in whole runs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from src.learning.learner import Learner, as_pair_logps
from src.learning.schedule import Round
from src.loop import STAGES, Experiment
from src.losses.dpo import DPO
from src.oracles.comparer import Comparer
from src.records import Comparison, Prompt, Response, Row
from src.run_folder.checkpoint import Progress
from src.runtime.errors import RunError
from src.runtime.stopwatch import Stopwatch
from tests.oracles.counting import CountingOracle

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


def test_pairs_that_the_policy_would_hardly_sample_count_less(experiment: Build) -> None:
    taking = learner(experiment())
    near, far = pair(0), pair(0)
    near.logps["behavior"], far.logps["behavior"] = (-500.0, -500.0), (0.0, 0.0)  # type: ignore[index]
    norms = []
    start = {name: tensor.clone() for name, tensor in taking.policy.state().items()}
    for weighting in ("none", "wpo"):
        taking.loss = DPO(0.1, 0.0, False, weighting=weighting)
        for one in (near, far):
            taking.policy.load_state(start)
            norms.append(taking.step(0, [one])["grad_norm"])
    assert norms[0] == norms[1] == norms[2] > 0
    assert norms[3] < 1e-3 * norms[2]


@pytest.mark.parametrize("loss", ["dpo", "ipo", "slic", "sppo loss.weighting=wpo loss.nll=0.5"])
def test_gradient_accumulation_never_changes_a_gradient(experiment: Build, loss: str) -> None:
    """8 micro-batches of 1 equal 1 of 8, with a tie among them."""
    grads = []
    run = experiment(*f"loss={loss}".split(), "F=1", "T=1", "batch_size=8", "evaluate.every=0")
    object.__setattr__(run.collection, "oracle", Comparer(CountingOracle(tie_every=5), None))
    batch = run.collect_or_load(Round(0, 0, 1), Progress(), Stopwatch(STAGES))
    assert sum(one.chosen is None for one in batch) == 2
    for name, tensor in run.policy.trainable().items():
        tensor.data += 0.01 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name)))
    start = {name: tensor.clone() for name, tensor in run.policy.state().items()}
    for tokens in (1, 200, 10_000):
        run.policy.load_state(start)
        run.learner.scorer = replace(run.learner.scorer, tokens=tokens)
        run.learner.spec = type(run.learner.spec)(**vars(run.learner.spec) | {"max_grad_norm": None})
        run.learner.step(0, batch)
        grads.append(torch.cat([tensor.grad.flatten() for tensor in run.policy.trainable().values()]))
    assert grads[0].norm() > 1e-3
    assert torch.allclose(grads[0], grads[2], atol=1e-5 * float(grads[0].norm()))
    assert torch.allclose(grads[1], grads[2], atol=1e-5 * float(grads[0].norm()))


def test_pair_logps_put_chosen_first(experiment: Build) -> None:
    run = experiment("F=1", "T=1", "batch_size=16", "evaluate.every=0")
    run.run()
    collected = run.collect_or_load(Round(0, 0, 1), Progress(step=1), Stopwatch(STAGES))
    comparisons = [pair for pair in collected if pair.chosen is not None]
    assert {one.chosen for one in comparisons} == {0, 1}
    logps = torch.arange(2.0 * len(comparisons)).reshape(1, -1, 2)
    gathered = as_pair_logps(comparisons, logps)
    for place, one in enumerate(comparisons):
        assert gathered.chosen[place] == logps[0, place, one.chosen]
        assert gathered.rejected[place] == logps[0, place, 1 - one.chosen]
        assert gathered.chosen_tokens[place] == len(one.responses[one.chosen].ids)
        assert gathered.reference_rejected[place] == pytest.approx(one.logps["reference"][1 - one.chosen])
