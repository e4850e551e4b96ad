"""Evaluation: which texts meet, what is computed once, and the KL."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from src.loop import Experiment
from src.models.saved_weights import Weights
from src.oracles.comparer import Comparer
from src.oracles.embedding import EmbeddingOracle
from src.records import Prompt
from src.storage.rows import read_rows
from tests.tiny import keys

Build = Callable[..., Experiment]


class Judge:
    """The longer text wins; counts what it is asked."""

    temperature, flip, name = 0.0, 0.0, "longest"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def score(self, world: object, prompts: list[Prompt], texts: list[str]) -> list[float]:
        self.texts += texts
        return [float(len(text)) for text in texts]


def test_labels_are_scored_once_a_split(experiment: Build) -> None:
    run = experiment("evaluate.every=1")
    judge = Judge()
    run.evaluator.judge = Comparer(judge, None)
    run.run()
    labels = [prompt.row.label for prompt in run.evaluator.prompts["test"]]
    assert all(judge.texts.count(label) == labels.count(label) for label in labels)


@pytest.mark.parametrize(("during", "final"), [(2, 5), (5, 2), (3, None), (None, 3)])
def test_without_a_test_split_each_evaluation_has_its_own_number_of_prompts(
    experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: int | None, final: int | None
) -> None:
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "score", lambda self, world, prompts, texts: [float(len(t)) for t in texts])
    for split, numbers in (("train", range(20)), ("validation", range(20, 26))):
        rows = [{"prompt": f"Say {n}, please. Answer:", "label": f"it is {n}"} for n in numbers]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = f"evaluate.validation_prompts={during or 'null'}", f"evaluate.prompts={final or 'null'}"
    run = experiment("data=files", f"data.path={tmp_path}", *counts)
    run.run()
    rows = read_rows(run.folder.path / "results.jsonl")
    assert [(row["split"], row["step"], row["round"], row["n_prompts"]) for row in rows] == [
        ("validation", 0, 0, during or 6), ("validation", 2, 0, during or 6),
        ("validation", 0, -1, final or 6), ("validation", 4, 1, final or 6),
    ]  # fmt: skip
    samples = read_rows(run.folder.path / "samples.jsonl")
    last = [one["prompt"] for one in samples if one["step"] == 4]
    assert last == [f"Say {n}, please. Answer:" for n in range(20, 20 + (final or 6))]


def test_samples_and_row_agree(experiment: Build) -> None:
    run = experiment("evaluate.every=0")
    run.evaluator.judge = Comparer(Judge(), None)
    run.run()
    row = read_rows(run.folder.path / "results.jsonl")[-1]
    samples = [one for one in read_rows(run.folder.path / "samples.jsonl") if one["step"] == 4]
    prompts = {prompt.id: prompt for prompt in run.evaluator.prompts["test"]}
    for one in samples:
        assert one["label"] == prompts[one["prompt_id"]].row.label
        assert one["label_score"] == len(one["label"]) and one["response_score"] == len(one["response"])
        better, worse = len(one["response"]) > len(one["label"]), len(one["response"]) < len(one["label"])
        assert one["outcome"] == (1.0 if better else 0.0 if worse else 0.5)
    assert row["win_rate"] == pytest.approx(np.mean([one["outcome"] for one in samples]))
    assert row["judge_score_mean"] == pytest.approx(np.mean([one["response_score"] for one in samples]))


def test_an_oracle_that_scores_and_is_not_the_judge_scores_every_evaluations_responses(experiment: Build) -> None:
    run = experiment("evaluate.every=2", "evaluate.validation_prompts=8")
    assert run.evaluator.proxy is None  # the oracle is the judge
    oracle = Judge()
    run.evaluator.proxy = Comparer(oracle, None)
    run.run()
    rows = read_rows(run.folder.path / "results.jsonl")
    samples = read_rows(run.folder.path / "samples.jsonl")
    assert len(rows) == 4
    asked = []
    for row in rows:
        texts = [one["response"] for one in samples if (one["split"], one["step"]) == (row["split"], row["step"])]
        assert row["proxy_score_mean"] == pytest.approx(np.mean([len(text) for text in texts]))
        asked += list(dict.fromkeys(texts))
    # Each evaluation asks for all of its scores, so that a resumed run asks the same.
    assert sorted(oracle.texts) == sorted(asked)


@pytest.mark.parametrize("judge", ["gold", "embedding"])
def test_without_such_an_oracle_there_is_no_score(
    experiment: Build, monkeypatch: pytest.MonkeyPatch, judge: str
) -> None:
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "problems", lambda self: [])
    monkeypatch.setattr(EmbeddingOracle, "score", lambda self, world, prompts, texts: [float(len(t)) for t in texts])
    proxy = experiment("oracle=embedding", f"judge={judge}").evaluator.proxy
    assert (proxy is None) == (judge == "embedding")


def test_kl_equals_a_plain_computation(experiment: Build) -> None:
    run = experiment("learning_rate=0.02", "evaluate.every=0")
    run.run()
    policy, end = run.policy.mean(), run.policy.tokenizer.eos_token_id
    prompts = run.evaluator.prompts["test"]
    with run.policy.using(policy) as model:
        drawn = run.evaluator.sampler.sample(model, [p.ids for p in prompts], keys(len(prompts), 1), {end})
    responses = [one[0] for one in drawn]
    total = 0.0
    for prompt, response in zip(prompts, responses, strict=True):
        rows = []
        for weights in (policy, run.sft):
            with run.policy.using(weights) as model:
                logits = model(torch.tensor([prompt.ids + response])).logits[0].log_softmax(-1)
            rows.append(logits[len(prompt.ids) - 1 : -1])
        total += (rows[0].exp() * (rows[0] - rows[1])).sum().item()
    assert total / len(prompts) > 0.01
    assert run.evaluator._kl(policy, run.sft, prompts, responses) == pytest.approx(total / len(prompts), rel=1e-3)


def test_the_sft_policy_has_no_distance_from_itself(experiment: Build) -> None:
    run = experiment()
    copy = {name: tensor.clone() for name, tensor in run.sft.items()}
    figures, _ = run.evaluator.evaluate(copy, run.sft, "validation")
    assert figures["kl_sft"] == pytest.approx(0.0, abs=1e-6)


def test_greedy_and_sampled_evaluation_differ(experiment: Build) -> None:
    greedy, sampled = experiment("evaluate.temperature=0", "evaluate.samples=1"), experiment("evaluate.temperature=1")
    one = greedy.evaluator.evaluate(greedy.sft, greedy.sft, "test")[1]
    other = sampled.evaluator.evaluate(sampled.sft, sampled.sft, "test")[1]
    assert [row["response"] for row in one] != [row["response"] for row in other]
    assert [row["response"] for row in one] == [
        row["response"] for row in greedy.evaluator.evaluate(greedy.sft, greedy.sft, "test")[1]
    ]


def test_several_responses_a_prompt_are_those_of_one_and_more(experiment: Build) -> None:
    run = experiment()
    evaluate = run.evaluator.evaluate
    (one, rows), (two, more) = (evaluate(run.sft, run.sft, "test", samples=samples) for samples in (1, 2))
    assert (one["samples"], two["samples"]) == (1, 2) and one["n_prompts"] == two["n_prompts"] == 12
    assert [row for row in more if row["sample"] == 0] == rows
    assert [(row["prompt_id"], row["sample"]) for row in more] == [(p, s) for p in range(12) for s in range(2)]
    assert [row["response"] for row in more if row["sample"]] != [row["response"] for row in rows]
    # Fewer prompts: the same responses.
    assert evaluate(run.sft, run.sft, "test", 5)[1] == rows[:5]


def test_the_kl_is_that_of_the_first_responses_to_the_first_prompts(experiment: Build) -> None:
    run = experiment("learning_rate=0.02", "evaluate.every=0")
    run.run()
    policy = run.policy.mean()
    run.evaluator.kl_prompts = 3
    figures, _ = run.evaluator.evaluate(policy, run.sft, "test", samples=2)
    responses = [group[0] for group in run.evaluator.respond(policy, "test")]
    expected = run.evaluator._kl(policy, run.sft, run.evaluator.prompts["test"][:3], responses[:3])
    assert figures["kl_sft"] == pytest.approx(expected, rel=1e-5) and expected > 0


def test_gold_scores_stand_beside_another_judge(experiment: Build) -> None:
    run = experiment("evaluate.every=0")
    exact, rows = run.evaluator.evaluate(run.sft, run.sft, "test", samples=2)
    assert exact["gold_score_mean"] == pytest.approx(exact["judge_score_mean"])
    run.evaluator.judge = Comparer(Judge(), run.evaluator.judge.world)
    figures, other = run.evaluator.evaluate(run.sft, run.sft, "test", samples=2)
    for name in ("gold_score_mean", "gold_score_se", "label_gold_score_mean"):
        assert figures[name] == pytest.approx(exact[name])
    assert [row["gold_score"] for row in other] == [row["gold_score"] for row in rows]
    assert figures["judge_score_mean"] != pytest.approx(figures["gold_score_mean"])


def test_two_policies_share_their_luck(experiment: Build) -> None:
    """The variance of a paired difference falls by more than two."""
    run = experiment("F=1", "evaluate.every=0", "learning_rate=1e-4", "data.test=300", "evaluate.prompts=null")
    run.run()
    policy = run.policy.mean()

    def scores(weights: Weights, seed: int) -> np.ndarray:
        run.evaluator.seed = seed
        return np.array([row["gold_score"] for row in run.evaluator.evaluate(weights, run.sft, "test", samples=2)[1]])

    trained, same, other = scores(policy, 0), scores(run.sft, 0), scores(run.sft, 1)
    assert not np.array_equal(trained, same)
    assert np.var(trained - other) > 2 * np.var(trained - same)
