"""The allocations with depth on scripted offers: budgets, floors, fallbacks, what is asked of the oracle."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from src.allocation.balanced import Balanced
from src.allocation.base import Allocated
from src.allocation.embedding_depth import EmbeddingDepth
from src.allocation.far_from_center import FarFromCenter
from src.allocation.random_pairs import RandomPairs
from src.allocation.ranking import principal
from src.allocation.round_size import pair_clusters
from src.allocation.uniform import Uniform, pair_key
from src.data.prompt_stream import PromptStream
from src.records import Candidate
from tests.allocation.offers import ScriptedOffer, vector
from tests.tiny import numbered_prompts

BREADTH = {
    "mean_depth": 2.0, "responses": 4, "prompt_clusters": None, "max_depth": None, "min_pool": 8, "embedder": "policy",
    "embedder_path": None,
}  # fmt: skip
DEPTH = {"rule": "pairs", "pair_clusters": None, "temperature": 0.1}
MAKE: dict[str, Callable[..., Any]] = {
    "balanced": lambda **changes: Balanced(**(BREADTH | DEPTH | {"sketch": 32, "mode": "label_free"} | changes)),
    "far_from_center": lambda **changes: FarFromCenter(**(BREADTH | DEPTH | {"sketch": 32} | changes)),
    "embedding_depth": lambda **changes: EmbeddingDepth(**(BREADTH | DEPTH | changes)),
    "random_pairs": lambda **changes: RandomPairs(**(BREADTH | changes)),
}
EXACT = [
    *((name, {}) for name in MAKE),
    *(("balanced", {"mode": mode, "rule": rule}) for mode in ("label_free", "pilot") for rule in ("pairs", "prompts")),
    ("far_from_center", {"rule": "prompts"}),
    ("embedding_depth", {"rule": "prompts", "embedder": "tfidf"}),
    ("balanced", {"max_depth": 2, "mean_depth": 2.0}),
    ("balanced", {"mean_depth": 1.5, "prompt_clusters": 3, "pair_clusters": 5}),
    ("random_pairs", {"mean_depth": 6.0, "embedder": "tfidf"}),
]  # fmt: skip


def offer_of(budget: int, size: int = 200, position: int = 0, **changes: Any) -> ScriptedOffer:
    return ScriptedOffer(PromptStream(numbered_prompts(size), 0, position), budget, **changes)


def checked(allocated: Allocated, offer: ScriptedOffer) -> Allocated:
    """What must hold of every round."""
    assert all(one.responses[0].text != one.responses[1].text for one in offer.asked)
    assert max(Counter(map(pair_key, offer.asked)).values(), default=1) == 1
    plan = allocated.plan
    assert plan.annotated == len(offer.asked) == offer.tally.annotated_pairs
    assert plan.generated == offer.tally.generated_responses
    depths = Counter(one.prompt.id for one in allocated.comparisons)
    assert {one["id"]: one["depth"] for one in plan.prompts} == depths
    assert len(allocated.comparisons) <= plan.budget
    return allocated


def show(allocated: Allocated) -> list[tuple]:
    return [(one.prompt.id, *(r.text for r in one.responses), one.chosen) for one in allocated.comparisons]


@pytest.mark.parametrize(("name", "changes"), EXACT, ids=str)
@pytest.mark.parametrize("budget", [16, 57, 100])
def test_the_budget_is_spent_exactly(name: str, changes: dict, budget: int) -> None:
    offer = offer_of(budget)
    allocation = MAKE[name](**changes)
    allocated = checked(allocation.allocate(offer), offer)
    assert len(offer.asked) == len(allocated.comparisons) == budget and offer.stream.position == budget
    plan = allocated.plan
    assert plan.fallback is None and plan.allocation == name
    assert len(plan.prompts) == math.ceil(budget / allocation.mean_depth)
    assert plan.generated == 4 * len(plan.prompts)
    depths = [one["depth"] for one in plan.prompts]
    assert min(depths) >= 1 and max(depths) <= (allocation.max_depth or 6)
    assert len(plan.pairs) == 6 * len(plan.prompts) and sum(one["chosen"] for one in plan.pairs) == budget
    figures = plan.figures()
    assert sum(n * (place + 1) for place, n in enumerate(figures["allocation/depths"])) == budget
    assert sum(figures["allocation/cluster_sizes"]) == (0 if name == "random_pairs" else len(plan.pairs))


@pytest.mark.parametrize("rule", ["pairs", "prompts"])
def test_paper_order_annotates_everything_and_says_so(rule: str) -> None:
    offer = offer_of(40)
    allocated = checked(MAKE["balanced"](mode="paper_order", rule=rule).allocate(offer), offer)
    assert len(allocated.comparisons) == 40
    assert len(offer.asked) == allocated.plan.annotated == 20 * 6
    assert len(set(show(allocated))) == 40


def test_pilot_asks_one_pair_a_prompt_first() -> None:
    offer = offer_of(40)
    checked(MAKE["balanced"](mode="pilot").allocate(offer), offer)
    assert len({one.prompt.id for one in offer.asked[:20]}) == 20


@pytest.mark.parametrize("mode", ["pilot", "paper_order"])
@pytest.mark.parametrize("ties", [3, 1])
def test_ties_have_no_direction_and_are_chosen_last(mode: str, ties: int) -> None:
    def prefer(candidate: Candidate) -> int | None:
        return None if sum(candidate.responses[0].ids) % ties == 0 else 0

    offer = offer_of(40, prefer=prefer)
    allocated = checked(MAKE["balanced"](mode=mode).allocate(offer), offer)
    assert len(allocated.comparisons) == 40
    tied = sum(one.chosen is None for one in allocated.comparisons)
    if mode == "paper_order" and ties == 3:
        assert sum(prefer(one) is None for one in offer.asked) > 20 and tied == 0
    elif ties == 1:
        assert tied == 40


@pytest.mark.parametrize("name", ["balanced", "far_from_center", "embedding_depth", "random_pairs"])
def test_the_plan_depends_on_which_prompts_there_are_and_on_the_seed(name: str) -> None:
    """A pool of all prompts, in the orders of two streams."""
    rounds = []
    for seed, stream in ((0, 0), (0, 1), (1, 0)):
        offer = ScriptedOffer(PromptStream(numbered_prompts(60), stream), 60, seed=seed)
        rounds.append(MAKE[name]().allocate(offer))
    one, other, another = rounds
    assert show(one) == show(other) and replace(one.plan, seconds={}) == replace(other.plan, seconds={})
    assert show(one) != show(another)


def test_turning_every_pair_round_or_every_label_changes_no_plan_made_before_labels() -> None:
    def opposite(prompt: tuple, response: tuple, size: int) -> np.ndarray:
        return -vector(size, *prompt, -1, *response)

    plain, turned, flipped = offer_of(40), offer_of(40, direction=opposite), offer_of(40, prefer=lambda _: 1)
    plans = [replace(MAKE["balanced"]().allocate(offer).plan, seconds={}) for offer in (plain, turned, flipped)]
    assert plans[0] == plans[1] == plans[2]
    # Labels do matter to a plan made after them.
    pilot = MAKE["balanced"](mode="pilot")
    after = [
        pilot.allocate(offer_of(40, prefer=lambda one, n=n: (sum(one.responses[0].ids) + n) % (n + 1))) for n in (0, 1)
    ]
    assert after[0].plan.pairs != after[1].plan.pairs


# Rounds that are made uniformly


@pytest.mark.parametrize("name", list(MAKE))
@pytest.mark.parametrize(("budget", "size", "changes"), [(4, 200, {}), (50, 7, {}), (30, 200, {"min_pool": 64})])
def test_a_round_that_is_too_small_is_uniform_to_the_bit(name: str, budget: int, size: int, changes: dict) -> None:
    offer, twin = offer_of(budget, size), offer_of(budget, size)
    allocated = checked(MAKE[name](**changes).allocate(offer), offer)
    assert show(allocated) == show(Uniform(1).allocate(twin))
    assert (offer.stream.position, offer.tally) == (twin.stream.position, replace(twin.tally, fallback_rounds=1))
    assert "min_pool" in allocated.plan.fallback and allocated.plan.allocation == name
    assert len(offer.warnings) == 1 and name in offer.warnings[0]


def test_fewer_than_two_pairs_a_cluster_is_uniform() -> None:
    offer = offer_of(20)
    assert "11 clusters" in MAKE["balanced"](pair_clusters=11).allocate(offer).plan.fallback
    assert MAKE["balanced"](pair_clusters=10).allocate(offer_of(20)).plan.fallback is None


def test_directions_that_are_all_zero_make_a_uniform_round_with_an_exact_budget() -> None:
    offer = offer_of(40, direction=lambda prompt, response, size: np.ones(size))
    allocated = checked(MAKE["balanced"]().allocate(offer), offer)
    assert len(allocated.comparisons) == 40 and "no prompt has two responses" in allocated.plan.fallback
    assert offer.stream.position == 40 and [one["depth"] for one in allocated.plan.prompts] == [1] * 40


def test_a_gradient_that_is_not_finite_is_an_error() -> None:
    offer = offer_of(40, direction=lambda prompt, response, size: np.full(size, np.nan))
    with pytest.raises(RuntimeError, match="not finite"):
        MAKE["balanced"]().allocate(offer)


# Budgets that are hard to spend


def test_a_pair_without_direction_is_no_candidate() -> None:
    def direction(prompt: tuple, response: tuple, size: int) -> np.ndarray:
        return vector(size, *prompt, response[-1] // 2)  # responses 0 and 1 alike, 2 and 3 alike

    allocated = MAKE["balanced"]().allocate(offer_of(40, direction=direction))
    assert len(allocated.comparisons) == 40
    assert all(pair["responses"] not in ([0, 1], [2, 3]) for pair in allocated.plan.pairs)


@pytest.mark.parametrize("name", list(MAKE))
def test_prompts_that_always_say_the_same_spill_their_budget(name: str) -> None:
    offer = offer_of(40, text=lambda prompt, number: "same" if prompt.id % 3 == 0 else f"{prompt.id}:{number}")
    allocated = checked(MAKE[name]().allocate(offer), offer)
    assert len(allocated.comparisons) == 40
    assert all(one.prompt.id % 3 for one in allocated.comparisons)
    assert offer.tally.passed_over > 0 and allocated.plan.duplicates >= 3 * offer.tally.passed_over


@pytest.mark.parametrize("name", list(MAKE))
@pytest.mark.parametrize("texts", [2, 3])
def test_few_different_responses_take_more_prompts(name: str, texts: int) -> None:
    """Two texts make one pair a prompt: forty prompts are needed, and the stream has them."""
    offer = offer_of(40, text=lambda prompt, number: f"{prompt.id}:{number % texts}")
    allocated = checked(MAKE[name](max_depth=2).allocate(offer), offer)
    assert len(allocated.comparisons) == 40
    assert len(allocated.plan.prompts) >= (40 if texts == 2 else 20)
    assert allocated.plan.duplicates > 0


@pytest.mark.parametrize("name", list(MAKE))
def test_a_split_that_cannot_fill_the_budget_is_used_up(name: str) -> None:
    offer = offer_of(100, size=20, text=lambda prompt, number: f"{prompt.id}:{number % 2}")
    allocated = checked(MAKE[name]().allocate(offer), offer)
    assert len(allocated.comparisons) == 20


def test_a_small_split_goes_as_deep_as_it_must() -> None:
    offer = offer_of(150, size=20)
    allocated = checked(MAKE["balanced"]().allocate(offer), offer)
    assert len(allocated.comparisons) == 150 and offer.tally.resampled > 0


def test_nothing_to_choose_from() -> None:
    offer = offer_of(40, size=30, text=lambda prompt, number: "same")
    assert checked(MAKE["balanced"]().allocate(offer), offer).comparisons == []


# Depth


@pytest.mark.parametrize("rule", ["pairs", "prompts"])
def test_prompts_near_a_shared_direction_go_deeper_and_far_from_center_turns_it_round(rule: str) -> None:
    """In four of five prompts the first response differs from the others along one of two axes."""

    def direction(prompt: tuple, response: tuple, size: int) -> np.ndarray:
        noise = vector(size, *prompt, 0, *response)
        if prompt[0] % 5 == 0:
            return noise
        axis = np.eye(size)[prompt[0] % 2]
        return 0.1 * noise + axis * response[-1]

    def depth(name: str) -> tuple[float, float]:
        offer = offer_of(100, direction=direction)
        plan = checked(MAKE[name](rule=rule, pair_clusters=2).allocate(offer), offer).plan
        tokens = {prompt.id: prompt.ids[0] for prompt in offer.stream.prompts}
        near = [one["depth"] for one in plan.prompts if tokens[one["id"]] % 5]
        odd = [one["depth"] for one in plan.prompts if tokens[one["id"]] % 5 == 0]
        return float(np.mean(near)), float(np.mean(odd))

    near, odd = depth("balanced")
    assert odd < 1.3 < 2 < near
    near, odd = depth("far_from_center")
    assert near < 2 < 3 < odd


# Values


@pytest.mark.parametrize("name", list(MAKE))
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"responses": 1}, "responses=1: expected at least 2"),
        ({"mean_depth": 7.0}, "mean_depth=7.0: responses=4 make 6 pairs"),
        ({"mean_depth": 0.5}, "mean_depth=0.5: expected at least 1"),
        ({"max_depth": 1}, "max_depth=1: expected at least mean_depth=2.0"),
        ({"prompt_clusters": 0}, "prompt_clusters=0"),
        ({"min_pool": 0}, "min_pool=0"),
        ({"embedder": "bert"}, "embedder=bert: expected policy, embedding, tfidf"),
        ({"embedder_path": "x"}, "embedder_path=x: embedder=policy takes none"),
        ({"rule": "best"}, "rule=best: expected pairs or prompts"),
        ({"pair_clusters": 0}, "pair_clusters=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"sketch": 1}, "sketch=1: expected at least 2"),
        ({"mode": "labels"}, "mode=labels: expected label_free, pilot, paper_order"),
    ],
)
def test_bad_values_are_refused(name: str, changes: dict, said: str) -> None:
    known = set(vars(MAKE[name]()))
    if set(changes) <= known:
        with pytest.raises(ValueError, match=said):
            MAKE[name](**changes)
    else:
        assert name != "balanced"


@pytest.mark.parametrize("name", list(MAKE))
def test_an_embedder_that_is_not_there_is_a_problem(name: str, tmp_path: Any) -> None:
    assert MAKE[name]().problems() == []
    [problem] = MAKE[name](embedder="embedding").problems()
    assert "allocation.embedder_path=DIR" in problem
    [problem] = MAKE[name](embedder="embedding", embedder_path=str(tmp_path)).problems()
    assert str(tmp_path) in problem
    (tmp_path / "config.json").write_text("{}")
    assert MAKE[name](embedder="embedding", embedder_path=str(tmp_path)).problems() == []


@pytest.mark.parametrize(("prompts", "clusters"), [(1, 2), (16, 2), (64, 4), (512, 11), (5000, 16)])
def test_pair_clusters_by_default(prompts: int, clusters: int) -> None:
    assert pair_clusters(prompts) == clusters


def test_principal_directions() -> None:
    spread = np.random.default_rng(0).normal(size=(200, 5)) * [9, 5, 1, 0.1, 0]
    found = principal(spread + 3)
    centered = spread - spread.mean(0)
    expected = centered @ np.linalg.svd(centered)[2][:2].T
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-6)
    assert found[np.abs(found).argmax(0), [0, 1]].min() > 0
    assert principal(np.ones((3, 1))).tolist() == [[0, 0]] * 3
