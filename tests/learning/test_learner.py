"""A step of the learner: micro-batches, and which response of a pair is the chosen one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from src.learning.learner import as_pair_logps
from src.loop import Experiment
from src.oracles.base import Comparer
from src.run_folder.checkpoint import Progress
from tests.oracles.counting import CountingOracle

Build = Callable[..., Experiment]


@pytest.mark.parametrize("loss", ["dpo", "ipo", "slic"])
def test_gradient_accumulation_never_changes_a_gradient(experiment: Build, loss: str) -> None:
    """8 micro-batches of 1 equal 1 of 8, with a tie among them."""
    grads = []
    run = experiment(f"loss={loss}", "F=1", "T=1", "batch_size=8", "evaluate.every=0")
    object.__setattr__(run.collection, "oracle", Comparer(CountingOracle(tie_every=5), None))
    batch = run.pairs(0, 0, 1, Progress(), {})
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
    comparisons = [one for one in run.pairs(0, 0, 1, Progress(step=1), {}) if one.chosen is not None]
    assert {one.chosen for one in comparisons} == {0, 1}
    logps = torch.arange(2.0 * len(comparisons)).reshape(1, -1, 2)
    gathered = as_pair_logps(comparisons, logps)
    for place, one in enumerate(comparisons):
        assert gathered.chosen[place] == logps[0, place, one.chosen]
        assert gathered.rejected[place] == logps[0, place, 1 - one.chosen]
        assert gathered.chosen_tokens[place] == len(one.responses[one.chosen].ids)
        assert gathered.reference_rejected[place] == pytest.approx(one.logps["reference"][1 - one.chosen])
