from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from src.allocation.uniform import Uniform
from src.prompt_stream import PromptStream
from src.records import Candidate, Prompt, Response
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
    candidates = Uniform()(stream, budget, propose)
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
    candidates = Uniform()(stream, budget, propose)
    expected = PromptStream(prompts, seed=0, position=position).take(len(propose.asked))
    assert propose.asked == [prompt.id for prompt in expected]
    assert candidates == [candidate for candidate in propose.candidates if candidate is not None]


@quick
@given(sizes, budgets, st.sets(st.integers(0, 9)))
def test_prompts_that_never_work_cost_nothing_while_the_others_reach_the_budget(size, budget, broken):
    working = set(range(size)) - broken

    def propose(prompts: Sequence[Prompt]) -> list[Candidate | None]:
        return [Candidate(p, (Response((2,), "a"), Response((3,), "b"))) if p.id in working else None for p in prompts]

    candidates = Uniform()(PromptStream(numbered_prompts(size), seed=0), budget, propose)
    assert {candidate.prompt.id for candidate in candidates} <= working
    # A pass over the split passes over each broken prompt once: so many whole passes stay below the limit.
    failing = size - len(working)
    passes = (size - 1) // failing if failing else budget
    if budget <= passes * len(working):
        assert len(candidates) == budget


def test_gives_up_where_nothing_works_after_as_many_prompts_as_the_split_holds():
    stream, propose = PromptStream(numbered_prompts(7), seed=0), Proposals([False])
    assert Uniform()(stream, 100, propose) == []
    assert sorted(propose.asked) == list(range(7))
    assert stream.position == 7


def test_asks_for_the_whole_round_at_once_where_everything_works():
    calls = []

    def propose(prompts: Sequence[Prompt]) -> list[Candidate | None]:
        calls.append(len(prompts))
        return Proposals([True])(prompts)

    Uniform()(PromptStream(numbered_prompts(10), seed=0), 6, propose)
    assert calls == [6]


def test_can_always_be_used():
    assert Uniform().problems() == []
