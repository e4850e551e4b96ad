"""The same number of pairs for every prompt, in the order of the stream."""

import time
from dataclasses import dataclass

from src.allocation.base import Allocated, Offer
from src.allocation.plan import Plan, depths_of
from src.records import Candidate
from src.runtime.errors import require


@dataclass(frozen=True)
class Uniform:
    """Every prompt gets `depth` pairs, each of two new responses; the last prompt gets the rest of the budget.

    A prompt without a pair is passed over, and the stream's next prompts make up for it. A round ends with fewer pairs
    than its budget once it has passed over as many prompts as the split holds.

    Args:
        depth: pairs a prompt, at least 1.
    """

    depth: int

    def __post_init__(self) -> None:
        require((self.depth >= 1, f"depth={self.depth}: expected at least 1"))

    @property
    def samples(self) -> bool:
        return self.depth > 1

    def problems(self) -> list[str]:
        return []

    def too_small(self, budget: int, prompts: int) -> str | None:
        return None

    def allocate(self, offer: Offer) -> Allocated:
        started = time.perf_counter()
        candidates, duplicates = self._candidates(offer)
        seconds = {"embed": 0.0, "sample": time.perf_counter() - started, "features": 0.0, "cluster": 0.0}
        comparisons = offer.annotate(candidates)
        plan = Plan(
            allocation="uniform",
            mode=None,
            rule=None,
            fallback=None,
            budget=offer.budget,
            generated=offer.tally.generated_responses,
            annotated=offer.tally.annotated_pairs,
            duplicates=duplicates,
            prompts=depths_of([candidate.prompt.id for candidate in candidates]),
            pairs=[],
            seconds=seconds,
        )
        return Allocated(comparisons, plan)

    def _candidates(self, offer: Offer) -> tuple[list[Candidate], int]:
        """The candidates, and the number of responses in dropped duplicates of them."""
        stream, budget = offer.stream, offer.budget
        candidates: list[Candidate] = []
        seen: set[tuple[int, frozenset[str]]] = set()
        passed_over = duplicates = 0
        while len(candidates) < budget and passed_over < len(stream.prompts):
            missing = budget - len(candidates)
            # At most as many as may still be passed over, so that the limit is exact.
            count = min(-(-missing // self.depth), max(len(stream.prompts) - passed_over, 1))
            prompts = stream.take(count)
            proposed = offer.propose([prompt for prompt in prompts for _ in range(self.depth)][:missing])
            for start in range(0, len(proposed), self.depth):
                pairs = [candidate for candidate in proposed[start : start + self.depth] if candidate is not None]
                if self.depth > 1:
                    new = {key: pair for pair in pairs if (key := pair_key(pair)) not in seen}
                    duplicates += 2 * (len(pairs) - len(new))
                    seen.update(new)
                    pairs = list(new.values())
                candidates += pairs
                passed_over += not pairs
        return candidates, duplicates


def pair_key(candidate: Candidate) -> tuple[int, frozenset[str]]:
    """Equal for two candidates about which the oracle would be asked the same question."""
    return candidate.prompt.id, frozenset(response.text for response in candidate.responses)
