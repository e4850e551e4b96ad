"""The first half of a round: allocate, collect, annotate, score. The second half, learning, is in `src.loop`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from src.allocation.base import Allocation
from src.annotate import annotate
from src.clock import timed
from src.collect import Collector, Tally
from src.data.world import World
from src.models.policy import Policy, Weights
from src.oracles.base import Oracle
from src.prompt_stream import PromptStream
from src.records import Comparison, Prompt
from src.scorer import Scorer
from src.seeding import numpy_stream, torch_stream


@dataclass(frozen=True)
class CollectionRound:
    """Makes the annotated pairs of a round, with the log-probs that learning needs.

    Every random draw comes from a stream named by the round, so a round can be made again at any time.
    """

    policy: Policy
    prompts: list[Prompt]
    world: World | None
    allocation: Allocation
    collector: Collector
    oracle: Oracle
    scorer: Scorer
    seed: int

    def __call__(
        self,
        number: int,
        budget: int,
        drawn: int,
        tally: Tally,
        policies: dict[str, Weights],
        seconds: dict[str, float],
        announce: Callable[[str], None],
    ) -> tuple[list[Comparison], int]:
        """One round.

        Args:
            number: of the round, from 0.
            budget: pairs to annotate.
            drawn: prompts taken from the stream in earlier rounds.
            tally: counts what is spent; added to.
            policies: "behavior" (which samples), "reference" and "sft", all of which score the responses.
            seconds: gets the time of each stage.
            announce: told what begins.

        Returns:
            The comparisons, and the prompts taken from the stream so far.
        """
        stream = PromptStream(self.prompts, self.seed, drawn)
        generator = torch_stream(self.seed, "collect", number, device=self.policy.device)
        announce(f"collecting {budget} pairs")
        with timed(seconds, "time/collect"), self.policy.using(policies["behavior"]) as model:
            candidates = self.allocation(
                stream, budget, lambda prompts: self.collector(model, prompts, generator, tally)
            )
        announce(f"annotating {len(candidates)} pairs")
        with timed(seconds, "time/annotate"):
            rng = numpy_stream(self.seed, "annotate", number)
            comparisons = annotate(self.oracle, self.world, candidates, rng, tally)
        announce(f"scoring {len(candidates)} pairs")
        with timed(seconds, "time/reference"):
            comparisons = self._score(comparisons, policies)
        return comparisons, stream.position

    def _score(self, comparisons: list[Comparison], policies: dict[str, Weights]) -> list[Comparison]:
        """Adds the log-probs of every response under each policy; policies that are the same object are scored once."""
        prompts = [one.prompt.ids for one in comparisons]
        responses = [[response.ids for response in one.responses] for one in comparisons]
        scored: dict[int, list[list[float]]] = {}
        for weights in policies.values():
            if id(weights) not in scored:
                with self.policy.using(weights) as model:
                    scored[id(weights)] = self.scorer.all_logps(model, prompts, responses).tolist()
        return [
            replace(one, logps={name: _two(scored[id(weights)][place]) for name, weights in policies.items()})
            for place, one in enumerate(comparisons)
        ]


def _two(logps: list[float]) -> tuple[float, float]:
    first, second = logps
    return first, second
