"""Section "exactness" of ARCHITECTURE.md, one test a point or more; each fails when its point is broken."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src.collection.sampled_pairs import SamplingCollector
from src.inference.sampler import Sampler
from src.inference.scorer import ignore
from src.learning.learner import Learner
from src.loop import Experiment
from src.oracles.comparer import Comparer
from src.oracles.embedding import EmbeddingOracle
from src.samplers.hf import LocalSampler
from src.storage.rows import read_rows
from tests.experiments import configured, left_behind
from tests.oracles.counting import CountingOracle

pytestmark = pytest.mark.slow

Build = Callable[..., Experiment]
LORA = ("model=tiny_lora", "model.lora.rank=2", "model.lora.alpha=4")


def metrics(run: Experiment) -> list[dict]:
    return read_rows(run.folder.path / "metrics.jsonl")


def result(run: Experiment) -> dict:
    return read_rows(run.folder.path / "results.jsonl")[-1]


def pairs(run: Experiment) -> list[dict]:
    return [row for file in sorted(run.folder.pairs.glob("round_*.jsonl")) for row in read_rows(file)]


def limit_responses(run: Experiment, tokens: int) -> None:
    """Shorter responses in collection than the SFT labels are."""
    collector = run.collection.collector
    sampler = LocalSampler(replace(collector.sampler.local, max_new_tokens=tokens))
    object.__setattr__(run.collection, "collector", replace(collector, sampler=sampler))


# 1. The trained sequence is the sampled sequence.


def test_token_ids_are_carried_from_the_sampler_to_the_loss(experiment: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    run = experiment("F=2", "evaluate.every=0")
    sampled, trained = set(), set()
    sample, logps = Sampler.sample_scored, type(run.learner.scorer).member_logps

    def spy_sample(self, model, prompts, keys, end_ids, tick=ignore):
        drawn = sample(self, model, prompts, keys, end_ids, tick)
        sampled.update(ids for group in drawn for ids, _ in group)
        return drawn

    def spy_logps(self, model, members, prompts, responses):
        if torch.is_grad_enabled():
            trained.update(tuple(ids) for group in responses for ids in group)
        return logps(self, model, members, prompts, responses)

    monkeypatch.setattr(Sampler, "sample_scored", spy_sample)
    monkeypatch.setattr(type(run.learner.scorer), "member_logps", spy_logps)
    run.run()
    assert len(trained) > 8
    assert trained <= sampled
    # The test can tell: tokenizing the texts again gives other ids.
    template = run.evaluator.template
    again = {template.response_ids(template.text(ids)) for ids in trained}
    assert not trained <= again


def test_a_response_cut_at_the_limit_gets_no_invented_end(experiment: Build) -> None:
    run = experiment("evaluate.every=0")
    limit_responses(run, 3)
    run.run()
    end = run.policy.tokenizer.eos_token_id
    ids = [response["ids"] for row in pairs(run) for response in row["responses"]]
    cut = [one for one in ids if end not in one]
    assert cut and all(len(one) == 3 for one in cut)
    assert all(one.index(end) == len(one) - 1 for one in ids if end in one)


# 2. Sampling is from the policy itself.


def test_sampling_is_untempered_by_default(cache: Path) -> None:
    config, _, _ = configured(cache)
    assert (config.collect.temperature, config.collect.top_k, config.collect.top_p) == (1.0, 0, 1.0)


def test_logps_are_of_the_untempered_policy(experiment: Build) -> None:
    run = experiment("collect.temperature=0.5", "F=1", "evaluate.every=0")
    run.run()
    for row in pairs(run)[:4]:
        for response in row["responses"]:
            with run.policy.using(run.sft) as model:
                logits = model(torch.tensor([row["prompt_ids"] + response["ids"]])).logits.log_softmax(-1)[0]
            start = len(row["prompt_ids"]) - 1
            expected = sum(logits[start + place, token].item() for place, token in enumerate(response["ids"]))
            assert response["logps"]["behavior"] == pytest.approx(expected, abs=1e-4)


# 3. The mean of an ensemble is the mean of the weight updates.


def test_behavior_and_saved_policy_are_the_mean_of_the_members_updates(experiment: Build) -> None:
    run = experiment(*LORA, "ensemble=3", "F=2", "evaluate.every=0")
    run.run()
    for name, layer in run.policy.layers.items():
        by_hand = sum(layer.scale * layer.B[i] @ layer.A[i] for i in range(3)) / 3
        assert torch.allclose(run.policy.mean()[f"{name}.weight"] - layer.base.weight, by_hand, atol=1e-6)
    saved = run.policy.read_weights(run.folder.path / "policy")
    assert all(torch.allclose(saved[name], tensor, atol=1e-5) for name, tensor in run.policy.mean().items())
    assert not torch.allclose(run.policy.layers[name].A[0], run.policy.layers[name].A[1])


def test_ensemble_without_adapters_is_refused(cache: Path) -> None:
    with pytest.raises(AssertionError, match="ensemble=2 needs LoRA members"):
        configured(cache, "ensemble=2")


# 4. Reference log-probs: no dropout, once a round, no reference pass in a step.


def test_reference_logps_carry_no_dropout(experiment: Build) -> None:
    run = experiment(*LORA, "model.lora.dropout=0.5", "F=1", "evaluate.every=0")
    run.run()
    prompts = [tuple(row["prompt_ids"]) for row in pairs(run)]
    responses = [[tuple(response["ids"]) for response in row["responses"]] for row in pairs(run)]
    with run.policy.using(run.sft) as model:
        assert not any(module.training for module in model.modules())
        again = run.learner.scorer.all_logps(model, prompts, responses)
    stored = [[response["logps"]["reference"] for response in row["responses"]] for row in pairs(run)]
    assert torch.equal(again, torch.tensor(stored))


@pytest.mark.parametrize("members", [1, 2])
def test_a_step_makes_one_forward_pass_for_all_members_a_micro_batch(
    experiment: Build, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    run = experiment(*LORA, f"ensemble={members}", "reference=sft", "F=1", "model.tokens=1", "evaluate.every=0")
    step, calls = Learner.step, []

    def counted(self, number, batch):
        count = 0

        def hook(*_):
            nonlocal count
            count += 1

        handle = run.policy.model.base_model.register_forward_hook(hook)
        row = step(self, number, batch)
        handle.remove()
        calls.append(count)
        return row

    monkeypatch.setattr(Learner, "step", counted)
    run.run()
    assert calls == [4] * 4  # 4 pairs in micro-batches of 1


# 5. Every margin at the first step after a collection is 0.


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "start"), [("dpo", math.log(2)), ("slic", 1.0), ("ipo", 25.0)])
@pytest.mark.parametrize("model", [(), LORA])
def test_margins_are_zero_after_a_collection(experiment: Build, loss: str, start: float, model: tuple) -> None:
    run = experiment(f"loss={loss}", "F=2", "evaluate.every=0", "learning_rate=0.01", *model)
    run.run()
    for row in metrics(run):
        first = row["step"] in (0, 2)
        assert (abs(row["rewards/margins"]) < 1e-5) == first
        assert (row["loss"] == pytest.approx(start, rel=1e-4)) == first or not first


# 6. IPO averages over tokens, DPO and SLiC sum.


@pytest.mark.parametrize(("loss", "mean"), [("dpo", False), ("slic", False), ("ipo", True)])
def test_reduction_over_tokens(cache: Path, loss: str, mean: bool) -> None:
    config, plain, _ = configured(cache, f"loss={loss}")
    assert plain["loss"]["length_normalize"] is mean
    assert config.loss.length_normalize is mean


# 7. The budget.


@pytest.mark.parametrize("F", ["1", "2", "3", "T"])
def test_the_oracle_is_asked_about_exactly_the_budget(experiment: Build, F: str) -> None:
    run = experiment(f"F={F}", "evaluate.every=0")
    oracle = CountingOracle()
    object.__setattr__(run.collection, "oracle", Comparer(oracle, None))
    run.run()
    assert len(oracle.asked) == 4 * 4
    assert result(run)["annotated_pairs"] == 16
    assert all(first != second for first, second in oracle.asked)


def test_identical_responses_are_sampled_again_then_passed_over(experiment: Build) -> None:
    run = experiment("collect.temperature=0.1", "collect.resample=1", "evaluate.every=0", "F=1")
    limit_responses(run, 1)
    oracle = CountingOracle()
    object.__setattr__(run.collection, "oracle", Comparer(oracle, None))
    run.run()
    row = result(run)
    assert row["resampled"] > 0
    assert row["passed_over"] > 0
    assert row["annotated_pairs"] == len(oracle.asked) <= 16
    assert row["generated_responses"] == 2 * (row["annotated_pairs"] + row["passed_over"] + row["resampled"])
    assert all(first != second for first, second in oracle.asked)


def test_a_round_that_cannot_be_filled_goes_on_with_fewer_pairs_and_says_so(
    experiment: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    run = experiment("collect.top_k=1", "collect.resample=1", "F=2", "evaluate.every=0")
    run.run()
    row = result(run)
    assert row["annotated_pairs"] == 0
    assert row["passed_over"] == 2 * len(run.collection.prompts)
    assert [one["pairs"] for one in metrics(run)] == [0, 0, 0, 0]
    assert "0 pairs instead of 8" in capsys.readouterr().out


def test_ties_count_as_asked_and_the_step_averages_over_the_rest(experiment: Build) -> None:
    run = experiment("F=1", "evaluate.every=0")
    object.__setattr__(run.collection, "oracle", Comparer(CountingOracle(tie_every=2), None))
    run.run()
    row = result(run)
    assert (row["annotated_pairs"], row["oracle_ties"]) == (16, 8)
    assert [one["pairs"] for one in metrics(run)] == [2, 2, 2, 2]
    assert metrics(run)[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_a_step_of_ties_moves_nothing(experiment: Build) -> None:
    run = experiment("F=1", "evaluate.every=0")
    object.__setattr__(run.collection, "oracle", Comparer(CountingOracle(tie_every=1), None))
    run.run()
    assert metrics(run)[0]["loss"] is None
    assert all(torch.equal(tensor, run.sft[name]) for name, tensor in run.policy.mean().items())


# 8. No prompt is in two splits.


def test_a_prompt_in_two_splits_is_refused_when_data_is_loaded(
    experiment: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.data.embedded import EmbeddedData
    from src.runtime.errors import ConfigError

    load = EmbeddedData.load

    def leaking(self, task):
        splits = load(self, task)
        splits.train.append(splits.test[0])
        return splits

    monkeypatch.setattr(EmbeddedData, "load", leaking)
    with pytest.raises(ConfigError, match="1 prompts are in both train and test"):
        experiment()


# 9. No prompt ends in a space.


def test_no_prompt_ends_in_a_space(experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)  # its model is not needed here, nor a network
    for split, count in (("train", 20), ("validation", 4)):
        rows = [{"prompt": f"{split} {i} asks: ", "label": f" answer {i} "} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = experiment("data=files", f"data.path={tmp_path}", "oracle=embedding")
    tokenizer = run.policy.tokenizer
    for prompt in run.collection.prompts:
        assert tokenizer.decode(prompt.ids).endswith("asks:")
        assert tokenizer.decode(prompt.label_ids[:1]).startswith(" ")


# 10. The test split is read by the final evaluation alone.


def test_the_test_split_is_read_at_the_end_alone(experiment: Build) -> None:
    run = experiment("evaluate.every=1")
    run.run()
    rows = read_rows(run.folder.path / "results.jsonl")
    assert [row["split"] for row in rows] == ["validation"] * 4 + ["test", "test"]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 0, 4]


# 11. One seed, named streams.


@pytest.mark.slow
def test_evaluating_more_often_changes_nothing_else(experiment: Build) -> None:
    often, never = experiment("evaluate.every=1"), experiment("evaluate.every=0")
    often.run(), never.run()
    first, second = left_behind(often.folder.path), left_behind(never.folder.path)
    for name in ("metrics", "pairs", "policy"):
        assert first[name] == second[name]
    assert first["results"][-1] == second["results"][-1]
    assert first["results"][-1]["step"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("F=2",), ("F=T", "reference=ema"), (*LORA, "ensemble=2", "loss=ipo")])
def test_two_runs_are_identical_to_the_bit(experiment: Build, overrides: tuple) -> None:
    first, second = experiment(*overrides), experiment(*overrides)
    first.run(), second.run()
    assert left_behind(first.folder.path) == left_behind(second.folder.path)


@pytest.mark.slow
def test_another_seed_gives_another_run(experiment: Build) -> None:
    first, second = experiment("seed=0"), experiment("seed=1")
    first.run(), second.run()
    assert left_behind(first.folder.path)["pairs"] != left_behind(second.folder.path)["pairs"]


# Identities between runs.


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["dpo", "ipo", "slic"])
def test_offline_behavior_and_sft_references_are_one_run(experiment: Build, loss: str) -> None:
    first = experiment("F=1", "reference=behavior", f"loss={loss}")
    second = experiment("F=1", "reference=sft", f"loss={loss}")
    first.run(), second.run()
    one, other = left_behind(first.folder.path), left_behind(second.folder.path)
    for rows in (one["results"], other["results"]):
        for row in rows:
            row.pop("reference")
    assert one == other


@pytest.mark.nightly
@pytest.mark.slow
def test_on_policy_dpo_and_slic_are_one_trajectory_under_adam(experiment: Build) -> None:
    """With pi_ref = pi at every step both gradients are multiples of one vector, and Adam divides by its size."""
    overrides = ("F=T", "reference=behavior", "optimizer.max_grad_norm=null", "optimizer.eps=1e-16", "evaluate.every=0")
    first, second = experiment("loss=dpo", *overrides), experiment("loss=slic", *overrides)
    first.run(), second.run()
    moved = sum((tensor - first.sft[name]).norm() for name, tensor in first.policy.mean().items())
    apart = sum((tensor - second.policy.mean()[name]).norm() for name, tensor in first.policy.mean().items())
    assert moved > 0.01
    assert apart < 1e-2 * moved
    offline = experiment("loss=slic", *overrides, "F=1")
    offline.run()
    assert sum((t - offline.policy.mean()[n]).norm() for n, t in first.policy.mean().items()) > 10 * apart


def test_collector_is_the_behavior_policy_of_the_round(experiment: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first weight that samples in a round is the policy's at that step, not the SFT policy's."""
    run = experiment("F=2", "evaluate.every=0", "learning_rate=0.01")
    seen = []
    collect = SamplingCollector.collect

    def spy(self, model, prompts, keys, tally, tick):
        seen.append(torch.cat([p.detach().flatten() for p in model.parameters()]).clone())
        return collect(self, model, prompts, keys, tally, tick)

    monkeypatch.setattr(SamplingCollector, "collect", spy)
    run.run()
    sft = torch.cat([run.sft[name].flatten() for name, _ in run.policy.model.named_parameters()])
    assert torch.equal(seen[0], sft)
    assert not torch.equal(seen[-1], sft)
