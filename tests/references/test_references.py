"""Which policy stands in the loss: checked on the log-probs that a run stores with its pairs."""

from collections.abc import Callable

import pytest
import torch

from src.inference.sampler import Sampler
from src.inference.scorer import Scorer
from src.loop import Experiment
from src.references.ema import Ema
from src.references.gold import Gold
from src.runtime.errors import RunError
from src.storage.rows import read_rows

Build = Callable[..., Experiment]
LORA = ("model=tiny_lora", "model.lora.rank=2", "ensemble=2")


def logps(run: Experiment, number: int, name: str) -> torch.Tensor:
    rows = read_rows(run.folder.pairs / f"round_{number:03d}.jsonl")
    return torch.tensor([[response["logps"][name] for response in row["responses"]] for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("model", [(), LORA])
def test_behavior_moves_with_the_rounds_and_sft_stays(experiment: Build, model: tuple) -> None:
    common = ("F=2", "learning_rate=0.01", "evaluate.every=0", *model)
    behavior, sft = experiment("reference=behavior", *common), experiment("reference=sft", *common)
    behavior.run(), sft.run()
    for run in (behavior, sft):
        assert torch.equal(logps(run, 0, "behavior"), logps(run, 0, "sft"))
        assert not torch.allclose(logps(run, 1, "behavior"), logps(run, 1, "sft"), atol=1e-3)
    assert torch.equal(logps(behavior, 1, "reference"), logps(behavior, 1, "behavior"))
    assert torch.equal(logps(sft, 1, "reference"), logps(sft, 1, "sft"))


@pytest.mark.slow
@pytest.mark.parametrize("model", [(), LORA])
def test_gold_is_the_given_policy_in_every_round(experiment: Build, model: tuple) -> None:
    better = experiment("learning_rate=0.01", "evaluate.every=0", *model)
    better.run()
    run = experiment("reference=gold", f"reference.path={better.folder.path}", "evaluate.every=0", *model)
    run.run()
    for number in (0, 1):
        rows = read_rows(run.folder.pairs / f"round_{number:03d}.jsonl")
        prompts = [tuple(row["prompt_ids"]) for row in rows]
        responses = [[tuple(one["ids"]) for one in row["responses"]] for row in rows]
        with better.policy.using(better.policy.mean()) as model_:
            expected = better.learner.scorer.all_logps(model_, prompts, responses)
        assert torch.allclose(logps(run, number, "reference"), expected, atol=1e-4)
        assert not torch.allclose(expected, logps(run, number, "sft"), atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("model", [pytest.param((), marks=pytest.mark.nightly), LORA])
@pytest.mark.parametrize("F", [1, 2])
def test_log_probs_of_sampling_stand_in_for_a_pass_over_the_pairs(
    experiment: Build, model: tuple, F: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []
    whole = Scorer.all_logps
    monkeypatch.setattr(
        Scorer, "all_logps", lambda self, model, prompts, *rest: scored.append(1) or whole(self, model, prompts, *rest)
    )
    runs, passes = [], []
    for value in ("true", "false"):
        runs.append(experiment(f"reference.from_sampling={value}", f"F={F}", "evaluate.every=0", *model))
        scored.clear()
        runs[-1].run()
        passes.append(len(scored))
    captured, computed = runs
    # One pass less a round: none in the first, where all three policies are one, and the SFT policy's in later ones. At
    # the end some pairs are scored under the trained policy.
    assert passes == ([1, 2] if F == 1 else [2, 4])
    for number in range(F):
        assert not torch.equal(logps(captured, number, "behavior"), logps(computed, number, "behavior"))
        assert torch.equal(logps(captured, number, "reference"), logps(captured, number, "behavior"))
    first = logps(captured, 0, "behavior"), logps(computed, 0, "behavior")
    torch.testing.assert_close(*first, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_log_probs_of_sampling_are_the_behavior_policys_whatever_the_reference_is(
    experiment: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []
    whole = Scorer.all_logps
    monkeypatch.setattr(Scorer, "all_logps", lambda *args: scored.append(1) or whole(*args))
    run = experiment("reference=sft", "reference.from_sampling=true", "F=2", "evaluate.every=0", *LORA)
    run.run()
    # The SFT policy is the behavior policy of the first round; in the second it is scored alone.
    assert len(scored) == 2
    assert torch.equal(logps(run, 1, "reference"), logps(run, 1, "sft"))
    assert not torch.equal(logps(run, 1, "behavior"), logps(run, 1, "sft"))


def test_log_probs_of_sampling_that_differ_are_not_used(experiment: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = Sampler.sample_scored
    monkeypatch.setattr(
        Sampler,
        "sample_scored",
        lambda *args: [[(ids, logp + 0.01 * len(ids)) for ids, logp in group] for group in draws(*args)],
    )
    said: list[str] = []
    monkeypatch.setattr("src.runtime.report.Report.warn", lambda self, text: said.append(text))
    run, plain = (experiment(f"reference.from_sampling={value}", "evaluate.every=0") for value in ("true", "false"))
    run.run(), plain.run()
    assert torch.equal(logps(run, 0, "behavior"), logps(plain, 0, "behavior"))
    assert any("differ by 1.0e-02 nats a token" in text for text in said)


def test_gold_of_another_model_is_refused(experiment: Build) -> None:
    other = experiment("model.scratch.hidden=64", "evaluate.every=0")
    other.run()
    run = experiment("reference=gold", f"reference.path={other.folder.path}")
    with pytest.raises(RunError, match="does not fit this model"):
        run.run()


def test_ema_by_hand() -> None:
    ema, sft, behavior = Ema(rate=0.1, from_sampling=False), {"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}
    assert ema.weights(None, behavior, sft, None, 0) is sft
    one = ema.weights(None, behavior, sft, sft, 1)
    assert one["w"].item() == pytest.approx(0.9 * 1 + 0.1 * 3)
    # Two steps at once keep as much as two updates by one step.
    twice = ema.weights(None, behavior, sft, one, 1)
    assert ema.weights(None, behavior, sft, sft, 2)["w"].item() == pytest.approx(twice["w"].item())
    assert Ema(rate=1.0, from_sampling=False).weights(None, behavior, sft, sft, 1)["w"].item() == 3.0


def test_ema_of_a_run_lies_between_sft_and_behavior(experiment: Build) -> None:
    run = experiment("reference=ema", "reference.rate=0.3", "F=T", "learning_rate=0.01", "evaluate.every=0")
    run.run()
    sft, ema, behavior = (logps(run, 3, name) for name in ("sft", "reference", "behavior"))
    assert not torch.allclose(ema, sft, atol=1e-4) and not torch.allclose(ema, behavior, atol=1e-4)
    assert (ema - behavior).abs().mean() < (sft - behavior).abs().mean()


def test_bad_rates_and_paths() -> None:
    for rate in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="rate="):
            Ema(rate=rate, from_sampling=False)
    assert Gold(path=None, from_sampling=False).problems() and Gold(path="/nowhere", from_sampling=False).problems()


def test_ema_of_a_bfloat16_policy_takes_small_steps() -> None:
    one, more = (torch.tensor([value], dtype=torch.bfloat16) for value in (1.0, 1.0078125))
    average = {"w": one}
    for _ in range(10):
        average = Ema(rate=0.01, from_sampling=False).weights(None, {"w": more}, {"w": one}, average, 1)
    assert average["w"].item() == pytest.approx(1 + 0.0078125 * (1 - 0.99**10), abs=1e-6)
