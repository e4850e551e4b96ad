from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.allocation.uniform import Uniform
from src.data.prompt_stream import PromptStream
from src.records import Candidate, Prompt, Response
from tests.allocation.offers import ScriptedOffer
from tests.properties import quick
from tests.tiny import numbered_prompts

sizes = st.integers(1, 10)
budgets = st.integers(0, 25)
# Whether the n-th prompt proposed works, over and over: arbitrary, and never all of them failing.
patterns = st.lists(st.booleans(), min_size=1, max_size=12)


class Proposals:
    """Proposes a candidate for the n-th prompt it is asked about where works[n] says so, and remembers what it saw."""

    def __init__(self, works: list[bool]) -> None:
        self.works = works
        self.asked: list[int] = []
        self.candidates: list[Candidate | None] = []

    def __call__(self, prompts: Sequence[Prompt]) -> list[Candidate | None]:
        proposed = [self._propose(len(self.asked) + place, prompt) for place, prompt in enumerate(prompts)]
        self.asked += [prompt.id for prompt in prompts]
        self.candidates += proposed
        return proposed

    def _propose(self, number: int, prompt: Prompt) -> Candidate | None:
        works = self.works[number % len(self.works)]
        return Candidate(prompt, (Response((2,), "a"), Response((3,), f"b{number}"))) if works else None


def candidates_of(stream: PromptStream, budget: int, propose: Callable, depth: int = 1) -> list[Candidate]:
    """What is annotated, in its order."""
    offer = ScriptedOffer(stream, budget, proposals=propose)
    allocated = Uniform(depth).allocate(offer)
    assert [(one.prompt, one.responses) for one in allocated.comparisons] == [
        (one.prompt, one.responses) for one in offer.asked
    ]
    return offer.asked


def one_by_one(size: int, budget: int, works: list[bool]) -> tuple[int, int]:
    """Candidates and prompts passed over, where prompts are taken singly until either limit is met."""
    found = passed_over = 0
    while found < budget and passed_over < size:
        if works[(found + passed_over) % len(works)]:
            found += 1
        else:
            passed_over += 1
    return found, passed_over


@quick
@given(sizes, budgets, patterns, st.integers(0, 30))
def test_spends_the_budget_or_gives_up_as_if_prompts_were_taken_one_by_one(size, budget, works, position):
    stream, propose = PromptStream(numbered_prompts(size), seed=0, position=position), Proposals(works)
    candidates = candidates_of(stream, budget, propose)
    found, passed_over = one_by_one(size, budget, works)
    assert len(candidates) == found <= budget
    # Every prompt drawn is a candidate or passed over: none is dropped silently, none drawn for nothing.
    assert stream.position - position == found + passed_over == len(propose.asked)
    assert propose.candidates.count(None) == passed_over <= size


@quick
@given(sizes, budgets, patterns, st.integers(0, 30))
def test_the_order_is_the_streams(size, budget, works, position):
    prompts = numbered_prompts(size)
    stream, propose = PromptStream(prompts, seed=0, position=position), Proposals(works)
    candidates = candidates_of(stream, budget, propose)
    expected = PromptStream(prompts, seed=0, position=position).take(len(propose.asked))
    assert propose.asked == [prompt.id for prompt in expected]
    assert candidates == [candidate for candidate in propose.candidates if candidate is not None]


@quick
@given(sizes, budgets, st.sets(st.integers(0, 9)))
def test_prompts_that_never_work_cost_nothing_while_the_others_reach_the_budget(size, budget, broken):
    working = set(range(size)) - broken

    def propose(prompts: Sequence[Prompt]) -> list[Candidate | None]:
        return [Candidate(p, (Response((2,), "a"), Response((3,), "b"))) if p.id in working else None for p in prompts]

    candidates = candidates_of(PromptStream(numbered_prompts(size), seed=0), budget, propose)
    assert {candidate.prompt.id for candidate in candidates} <= working
    # A pass over the split passes over each broken prompt once: so many whole passes stay below the limit.
    failing = size - len(working)
    passes = (size - 1) // failing if failing else budget
    if budget <= passes * len(working):
        assert len(candidates) == budget


def test_gives_up_where_nothing_works_after_as_many_prompts_as_the_split_holds():
    stream, propose = PromptStream(numbered_prompts(7), seed=0), Proposals([False])
    assert candidates_of(stream, 100, propose) == []
    assert sorted(propose.asked) == list(range(7))
    assert stream.position == 7


def test_asks_for_the_whole_round_at_once_where_everything_works():
    calls = []

    def propose(prompts: Sequence[Prompt]) -> list[Candidate | None]:
        calls.append(len(prompts))
        return Proposals([True])(prompts)

    candidates_of(PromptStream(numbered_prompts(10), seed=0), 6, propose)
    assert calls == [6]


def test_can_always_be_used():
    assert Uniform(1).problems() == []


def with_depth(
    size: int, budget: int, depth: int, works: list[bool]
) -> tuple[list[Candidate], Proposals, PromptStream]:
    stream, propose = PromptStream(numbered_prompts(size), seed=0), Proposals(works)
    return candidates_of(stream, budget, propose, depth), propose, stream


@pytest.mark.parametrize(("budget", "depth", "prompts"), [(12, 2, 6), (13, 3, 5), (1, 4, 1), (0, 2, 0), (7, 7, 1)])
def test_depth_takes_fewer_prompts_and_cuts_the_last_one(budget: int, depth: int, prompts: int) -> None:
    candidates, propose, stream = with_depth(20, budget, depth, [True])
    assert len(candidates) == budget and stream.position == prompts
    ids = [prompt.id for prompt in PromptStream(numbered_prompts(20), 0).take(prompts)]
    assert [one.prompt.id for one in candidates] == [id for id in ids for _ in range(depth)][:budget]
    # Every pair has responses of its own.
    assert len({one.responses[1].text for one in candidates}) == budget


@quick
@given(st.integers(2, 5), sizes, budgets, patterns)
def test_with_depth_a_budget_is_spent_or_as_many_prompts_failed_as_there_are(depth, size, budget, works):
    candidates, propose, stream = with_depth(size, budget, depth, works)
    assert len(candidates) <= budget
    if len(candidates) < budget:
        assert not any(works) or stream.position >= size


def test_the_same_pair_of_a_prompt_is_annotated_once() -> None:
    """A prompt with one pair to give: its copies are dropped, and a second pass over the split finds nothing new."""

    def propose(prompts: Sequence[Prompt]) -> list[Candidate]:
        return [
            Candidate(p, (Response((2,), "a"), Response((3,), "b"))[:: 1 - 2 * (n % 2)]) for n, p in enumerate(prompts)
        ]

    offer = ScriptedOffer(PromptStream(numbered_prompts(5), 0), 20, proposals=propose)
    plan = Uniform(2).allocate(offer).plan
    assert sorted(one.prompt.id for one in offer.asked) == list(range(5))
    assert plan.duplicates > 0 and [one["depth"] for one in plan.prompts] == [1] * 5


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_of_nothing_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth={depth}: expected at least 1"):
        Uniform(depth)


def test_the_plan_says_what_was_done() -> None:
    offer = ScriptedOffer(PromptStream(numbered_prompts(9), 0), 5, proposals=Proposals([True, True, False]))
    plan = Uniform(2).allocate(offer).plan
    assert (plan.allocation, plan.budget, plan.annotated, plan.fallback, plan.pairs) == ("uniform", 5, 5, None, [])
    assert sum(one["depth"] for one in plan.prompts) == 5 and all(one["cluster"] is None for one in plan.prompts)
    assert Uniform(2).samples and not Uniform(1).samples
