"""The first half of a round: allocate (which collects and annotates) and score. The second half is in `src.loop`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from src.allocation.base import Allocation
from src.allocation.plan import Plan
from src.collection.dataset_pairs import DatasetCollector
from src.collection.policy_offer import PolicyOffer
from src.collection.sampled_pairs import Collector
from src.data.prompt_stream import PromptStream
from src.inference.scorer import Scorer
from src.models.policy import Policy, Weights
from src.oracles.comparer import Comparer
from src.records import Comparison, Prompt, Tally
from src.runtime import processes
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, stream_seed, torch_stream
from src.runtime.timing import timed
from src.samplers.vllm import ServedSampler

# In a log file, the stages of hundreds of rounds of a step each would bury everything else.
LISTED = 3
# Nats a token between sampling and scoring. In float32 they differ by some 1e-6, in bfloat16 by 1e-2.
AGREEMENT = 1e-4


@dataclass(frozen=True)
class CollectionRound:
    """Makes the annotated pairs of a round, with the log-probs that learning needs.

    Every random draw comes from a stream named by the round, so a round can be made again at any time.

    Attributes:
        from_sampling: whether the behavior policy's log-probs are those that sampling gave, where these agree with the
            scorer's to AGREEMENT. They are computed anew in one pass otherwise.
        length_normalize: whether the loss divides log-probs by their tokens.
        served: the collector's sampler, where servers do the sampling.
    """

    policy: Policy
    prompts: list[Prompt]
    allocation: Allocation
    collector: Collector | DatasetCollector
    oracle: Comparer
    scorer: Scorer
    from_sampling: bool
    seed: int
    report: Report
    length_normalize: bool
    served: ServedSampler | None = None

    def __call__(
        self,
        number: int,
        budget: int,
        drawn: int,
        tally: Tally,
        policies: dict[str, Weights],
        seconds: dict[str, float],
    ) -> tuple[list[Comparison], int, Plan]:
        """One round.

        Args:
            number: of the round, from 0.
            budget: pairs to annotate.
            drawn: prompts taken from the stream in earlier rounds.
            tally: counts what is spent; added to.
            policies: "behavior" (which samples), "reference" and "sft", all of which score the responses.
            seconds: gets the time of each stage.

        Returns:
            The comparisons, the prompts taken from the stream so far, and how the budget was spent.
        """
        listed = number < LISTED
        title = f"round {number}: "
        with self.report.stage(f"{title}collecting {budget} pairs", budget, listed) as tick:
            offer = PolicyOffer(
                stream=PromptStream(self.prompts, self.seed, drawn),
                budget=budget,
                seed=stream_seed(self.seed, "allocate", number),
                tally=tally,
                policy=self.policy,
                behavior=policies["behavior"],
                collector=self.collector,
                oracle=self.oracle,
                scorer=self.scorer,
                generator=torch_stream(self.seed, "collect", number, device=self.policy.device),
                labels=numpy_stream(self.seed, "annotate", number),
                report=self.report,
                length_normalize=self.length_normalize,
                title=title,
                listed=listed,
                seconds=seconds,
                tick=tick,
            )
            serving = self.served.serving(number) if self.served else nullcontext()
            with timed(seconds, "time/collect"), serving:
                allocated = self.allocation(offer)
        # What is left is sampling, embedding and clustering.
        seconds["time/collect"] -= seconds["time/annotate"] + allocated.plan.seconds["features"]
        comparisons = allocated.comparisons
        with timed(seconds, "time/reference"):
            comparisons = self._score(comparisons, policies, f"{title}scoring {len(comparisons)} pairs", listed)
        return comparisons, offer.stream.position, self._compared(allocated.plan, comparisons, title)

    def _compared(self, plan: Plan, comparisons: list[Comparison], title: str) -> Plan:
        """Notes in the plan how far a server's log-probs are from the scorer's."""
        difference = logp_difference(comparisons)
        if self.served is None or difference is None:
            return plan
        if difference > (most := self.served.spec.warn_above):
            self.report.warn(
                f"{title}the servers' log-probs differ from the scorer's by {difference:.1e} nats a token in the mean, "
                f"more than sampler.warn_above={most}: they sample from another policy; compare the base model, its "
                "dtype (vllm serve --dtype) and logprobs_mode"
            )
        return replace(plan, logp_difference=difference)

    def _score(
        self, comparisons: list[Comparison], policies: dict[str, Weights], title: str, listed: bool
    ) -> list[Comparison]:
        """Adds the log-probs of every response under each policy; policies that are the same object are scored once."""
        prompts = [one.prompt.ids for one in comparisons]
        responses = [[response.ids for response in one.responses] for one in comparisons]
        scored: dict[int, list[list[float]]] = {}
        different = {id(weights): weights for weights in policies.values()}
        if self.from_sampling and comparisons and self._agrees(comparisons, policies["behavior"]):
            behavior = different.pop(id(policies["behavior"]))
            scored[id(behavior)] = [[response.logp or 0.0 for response in one.responses] for one in comparisons]
        with self.report.stage(title, len(prompts) * len(different), listed) as tick:
            for key, weights in different.items():
                with self.policy.using(weights) as model:
                    scored[key] = self.scorer.all_logps(model, prompts, responses, tick).tolist()
        return [
            replace(one, logps={name: _two(scored[id(weights)][place]) for name, weights in policies.items()})
            for place, one in enumerate(comparisons)
        ]

    def _agrees(self, comparisons: list[Comparison], behavior: Weights) -> bool:
        """Whether the log-probs of sampling are the scorer's: on one pair, that with the most tokens."""
        one = max(comparisons, key=lambda one: len(one.prompt.ids) + sum(len(each.ids) for each in one.responses))
        with self.policy.using(behavior) as model:
            logps = self.scorer.logps(model, [one.prompt.ids], [[each.ids for each in one.responses]])
        worst = 0.0
        for response, logp in zip(one.responses, logps[0].tolist(), strict=True):
            assert response.logp is not None  # data with pairs of their own are refused with from_sampling
            worst = max(worst, abs(response.logp - logp) / max(len(response.ids), 1))
        worst = processes.from_main(lambda: worst)  # what follows has to be the same everywhere
        if worst > AGREEMENT:
            self.report.warn(
                f"reference.from_sampling: the log-probs of sampling and scoring differ by {worst:.1e} nats a token, "
                f"more than {AGREEMENT:.0e}; the reference log-probs are computed anew"
            )
        return worst <= AGREEMENT


def logp_difference(comparisons: Sequence[Comparison]) -> float | None:
    """How far the log-probs of sampling are from the scorer's, in the mean over tokens; None where nothing says.

    The absolute difference of each response's log-probability, summed and divided by all tokens: nats a token.
    """
    sampled = [
        (abs(response.logp - scored), len(response.ids))
        for one in comparisons
        for response, scored in zip(one.responses, one.logps["behavior"], strict=True)
        if response.logp is not None
    ]
    tokens = sum(length for _, length in sampled)
    return sum(difference for difference, _ in sampled) / tokens if tokens else None


def _two(logps: list[float]) -> tuple[float, float]:
    first, second = logps
    return first, second
