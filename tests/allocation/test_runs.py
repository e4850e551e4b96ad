"""Allocations in whole runs: what the oracle sees, what is left behind, and what stays as it was."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from src.allocation.base import Allocated, Offer
from src.allocation.features import gradient_sketches
from src.allocation.lines import cluster_directions
from src.allocation.sketch import CountSketch
from src.allocation.uniform import Uniform
from src.cli.compose import problems_of
from src.inference.scorer import Scorer
from src.loop import Experiment
from src.models.lora import LoraSpec
from src.models.policy import Policy
from src.oracles.base import SECOND
from src.oracles.comparer import Comparer
from src.records import Prompt
from src.reward_fitting.collect import sample_preferences
from src.runtime.errors import ConfigError
from src.runtime.report import Report
from src.storage.rows import dump_row, read_rows
from tests.experiments import built, left_behind
from tests.tiny import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.slow

Build = Callable[..., Experiment]
# The smoke experiment's rounds are small: of 8 pairs at F=2.
SMALL = ("evaluate.every=0", "allocation.min_pool=4")
KINDS = [
    ("allocation=balanced", "allocation.mode=label_free"),
    ("allocation=balanced", "allocation.mode=pilot", "allocation.rule=prompts"),
    ("allocation=balanced", "model=tiny_lora", "model.lora.rank=2", "ensemble=2", "loss=ipo"),
    ("allocation=far_from_center",),
    ("allocation=embedding_depth", "allocation.embedder=tfidf"),
    ("allocation=random_pairs",),
]


@dataclass
class CountingOracle:
    """Prefers the second response and remembers what it was asked about."""

    temperature: float = 0.0
    flip: float = 0.0
    name: str = "counting"
    asked: list[tuple[int, frozenset[str]]] = field(default_factory=list)

    def compare(self, prompts: list[Prompt], first: list[str], second: list[str]) -> list[int]:
        self.asked += [(p.id, frozenset(two)) for p, *two in zip(prompts, first, second, strict=True)]
        return [SECOND] * len(first)


def counted(run: Experiment) -> tuple[list[tuple[int, frozenset[str]]], dict, list[dict]]:
    """What the oracle was asked in a run, its result and its metrics."""
    oracle = CountingOracle()
    object.__setattr__(run.collection, "oracle", Comparer(oracle, None))
    run.run()
    path = run.folder.path
    assert all(len(texts) == 2 for _, texts in oracle.asked)
    return oracle.asked, read_rows(path / "results.jsonl")[-1], read_rows(path / "metrics.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize("F", ["1", "2", "5"])
@pytest.mark.parametrize("kind", [*KINDS, ("allocation.depth=2",)], ids=" ".join)
def test_the_oracle_is_asked_about_exactly_the_budget(experiment: Build, kind: tuple[str, ...], F: str) -> None:
    small = SMALL if kind[0].startswith("allocation=") else SMALL[:1]
    run = experiment("T=5", f"F={F}", *kind, *small, "checkpoint_every=5")
    asked, row, metrics = counted(run)
    assert len(asked) == row["annotated_pairs"] == 5 * 4
    plans = [read_rows(file)[0] for file in sorted(run.folder.pairs.glob("plan_*.json"))]
    assert [plan["round"] for plan in plans] == list(range(int(F)))
    assert sum(plan["annotated"] for plan in plans) == 20
    assert sum(plan["generated"] for plan in plans) == row["generated_responses"]
    assert [row["allocation/annotated"] for row in metrics if "allocation/annotated" in row] == [
        plan["annotated"] for plan in plans
    ]
    if kind[0] != "allocation.depth=2" and F != "5":
        assert all(plan["fallback"] is None for plan in plans)
        assert max(Counter(asked).values()) == 1


def test_paper_order_reports_its_excess(experiment: Build) -> None:
    run = experiment("F=2", "allocation=balanced", "allocation.mode=paper_order", *SMALL)
    asked, row, metrics = counted(run)
    assert len(asked) == row["annotated_pairs"] > 16
    assert [one["pairs"] for one in metrics] == [4] * 4


@dataclass(frozen=True)
class NoStrategy:
    """The prompts of the stream as they come, two samples each."""

    def allocate(self, offer: Offer) -> Allocated:
        candidates = offer.propose(offer.stream.take(offer.budget))
        assert None not in candidates
        return Allocated(offer.annotate(candidates), Uniform(1).allocate(replace(offer, budget=0)).plan)


@pytest.mark.slow
def test_uniform_leaves_everything_as_without_a_strategy(experiment: Build) -> None:
    plain, uniform, deep = experiment("F=2"), experiment("F=2"), experiment("F=2", "allocation.depth=2")
    object.__setattr__(plain.collection, "allocation", NoStrategy())
    found = []
    for run in (plain, uniform, deep):
        run.run()
        left = left_behind(run.folder.path)
        left["pairs"] = {name: text for name, text in left["pairs"].items() if not name.startswith("plan_")}
        left["metrics"] = [
            {key: value for key, value in row.items() if not key.startswith("allocation/")} for row in left["metrics"]
        ]
        found.append(left)
    assert found[0] == found[1]
    assert found[0]["pairs"] != found[2]["pairs"]


def test_a_round_that_is_too_small_is_counted_in_the_rows(
    experiment: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    run = experiment("F=2", "T=3", "allocation=balanced", "evaluate.every=1", "allocation.min_pool=6")
    run.run()
    rows = read_rows(run.folder.path / "results.jsonl")
    assert {row["step"]: row["fallback_rounds"] for row in rows} == {0: 0, 1: 0, 2: 0, 3: 1}
    plans = [read_rows(run.folder.pairs / f"plan_{number:03d}.json")[0]["fallback"] for number in (0, 1)]
    assert plans == [None, "a pool of 4 prompts, and min_pool=6"]
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 2 rounds were made uniformly instead" in said


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_a_run_of_rounds_that_are_all_too_small_is_refused(kind: tuple[str, ...]) -> None:
    [problem] = problems_of(["experiment=smoke", *kind, "F=T"])
    assert problem.startswith(
        "allocation: every round would be made uniformly instead (a pool of 4 prompts, and min_pool"
    )
    assert problems_of(["experiment=smoke", *kind, "F=T", "allocation.min_pool=4"]) == []


def test_fewer_pairs_than_clusters_need_are_refused() -> None:
    [problem] = problems_of(["experiment=smoke", "allocation=balanced", *SMALL, "allocation.pair_clusters=5"])
    assert "(a budget of 8 pairs, fewer than two for each of 5 clusters)" in problem


def test_data_with_too_few_prompts_are_refused_before_a_policy_is_made(tmp_path: Path) -> None:
    for name, count in (("train", 8), ("validation", 4)):
        rows = [{"prompt": f"{name} {number}", "label": "a label"} for number in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("".join(map(dump_row, rows)))
    files = ("data=files", f"data.path={tmp_path}", "oracle.path=owner/name", "judge.path=owner/name")
    with pytest.raises(ConfigError, match="a pool of 8 prompts, and min_pool=10"):
        built(tmp_path / "run", tmp_path / "cache", *files, "F=1", "allocation=balanced", "allocation.min_pool=10")
    assert not (tmp_path / "cache").exists()


def test_the_figures_stand_in_the_first_row_of_a_round(experiment: Build) -> None:
    run = experiment("F=2", "allocation=balanced", *SMALL)
    run.run()
    rows = read_rows(run.folder.path / "metrics.jsonl")
    assert [("allocation/depths" in row, "time/features" in row) for row in rows] == [(True, True), (False, False)] * 2
    assert rows[0]["allocation/prompts"] == 4 and sum(rows[0]["allocation/cluster_sizes"]) == 24
    assert rows[0]["time/features"] > 0 and rows[0]["time/collect"] > 0
    pairs = read_rows(run.folder.pairs / "plan_000.json")[0]["pairs"]
    assert all(len(pair["xy"]) == 2 and 0 <= pair["closeness"] <= 1 for pair in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[:2], ids=" ".join)
def test_two_runs_are_identical_and_learning_is_not_disturbed(experiment: Build, kind: tuple[str, ...]) -> None:
    runs = [experiment("F=2", *kind, *SMALL) for _ in range(2)]
    for run in runs:
        run.run()
    one, other = (left_behind(run.folder.path) for run in runs)
    assert one == other
    # Right after a collection the behavior policy is the policy: nothing was moved by looking at gradients.
    assert all(abs(row["rewards/margins"]) < 1e-5 for row in one["metrics"] if row["step"] in (0, 2))


def test_a_saved_round_is_used_with_its_plan(experiment: Build, tmp_path: Path) -> None:
    run = experiment("F=1", "allocation=balanced", *SMALL)
    run.run()
    plan = run.folder.pairs / "plan_000.json"
    before = plan.read_bytes()
    first = read_rows(run.folder.path / "metrics.jsonl")[0]
    for name in ("metrics", "results", "samples"):
        (run.folder.path / f"{name}.jsonl").unlink()
    object.__setattr__(run.collection, "allocation", None)  # cannot be asked again
    run.run()
    again = read_rows(run.folder.path / "metrics.jsonl")[0]
    assert plan.read_bytes() == before
    assert {k: v for k, v in again.items() if "allocation/" in k} == {
        k: v for k, v in first.items() if "allocation/" in k
    }


def test_preferences_for_a_reward_model_are_allocated_too(experiment: Build) -> None:
    run = experiment("F=1", "allocation=balanced", *SMALL)
    collect = run.collection
    found, ties = sample_preferences(
        run.policy,
        collect.prompts,
        collect.allocation,
        collect.collector,
        collect.oracle,
        collect.scorer,
        20,
        0,
        Report(),
    )
    assert len(found) + ties == 20 and len({one.prompt for one in found}) < 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("collect=dataset F=1 data=hub task=helpfulness allocation=balanced", "one pair a prompt"),
        ("collect=dataset F=1 data=hub task=helpfulness allocation.depth=2", "one pair a prompt"),
        ("allocation=balanced allocation.responses=1", "allocation.responses=1: expected at least 2"),
        ("allocation=random_pairs allocation.mean_depth=7", "allocation.mean_depth=7.0: responses=4 make 6 pairs"),
        ("allocation=balanced allocation.embedder=embedding", "allocation: embedder=embedding needs a model"),
        ("allocation=random_pairs allocation.sketch=3", "allocation.sketch"),
        ("allocation.depth=0", "allocation.depth=0: expected at least 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(arguments: str, said: str) -> None:
    [problem] = problems_of(arguments.split())
    assert said in problem


def planted_contrasts(seed: int) -> float:
    """How well gradients tell apart four groups of pairs: one response repeats a token of the group, one another."""
    rng = np.random.default_rng(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 4}
    # Weights of a usual size: with the large ones of other tests a gradient says more of the prompt than of the tokens.
    model = tiny_model(seed, initializer_range=0.1, **sizes)
    policy = Policy(model, tiny_tokenizer(), "base", LoraSpec(4, 8, 0.0, "all-linear"), 1)
    policy.initialize_adapters(seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in policy.layers.values():
        layer.B.data.normal_(0, 0.1, generator=generator)
    tokens = rng.permutation(np.arange(2, 60))[:8].reshape(4, 2)
    groups = rng.permutation(np.repeat(np.arange(4), 24))
    prompts = [tuple(rng.integers(2, 60, 8).tolist()) for _ in groups]
    pairs = [[(int(token),) * 12 for token in rng.permutation(tokens[group])] for group in groups]
    found = gradient_sketches(policy, Scorer(4096, 0), prompts, pairs, CountSketch(512, seed))
    features = np.stack([(one[0] - one[1]).numpy() for one in found]).astype(float)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return adjusted_rand_score(groups, cluster_directions(features, 4, rng, signed=False).labels)


@pytest.mark.slow
def test_planted_contrasts_are_found_by_gradients() -> None:
    assert np.mean([planted_contrasts(seed) for seed in range(3)]) >= 0.75
