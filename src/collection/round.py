"""The first half of a round: allocate the budget, collect and annotate pairs, score them. `src.loop` has the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from src.allocation.base import Allocation
from src.allocation.plan import Plan
from src.collection.base import Collector
from src.collection.policy_offer import PolicyOffer
from src.collection.rescored import rescore
from src.collection.round_report import RoundReport
from src.data.prompt_stream import PromptStream
from src.inference.kept_batches import KeptBatches
from src.inference.scorer import Scorer
from src.inference.uniforms import PromptKeys
from src.models.policy import Policy, Weights
from src.oracles.comparer import Comparer
from src.records import Comparison, Prompt, Tally
from src.runtime import processes
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, stream_seed
from src.runtime.stopwatch import Stopwatch

# Nats a token. Sampling and scoring differ by some 1e-6 in float32, by 1e-2 in bfloat16.
AGREEMENT = 1e-4


@dataclass(frozen=True)
class Collected:
    """The pairs of a round and what they cost.

    Attributes:
        drawn: prompts taken from the stream by all rounds so far.
        tally: what this round spent.
        plan: how the budget was allocated.
    """

    comparisons: list[Comparison]
    drawn: int
    tally: Tally
    plan: Plan


@dataclass(frozen=True)
class CollectionRound:
    """Makes the annotated pairs of a round, and the log-probs that learning needs.

    Random draws come from streams named by the round's number, so a round can be made again at any time.

    Attributes:
        prompts: of the train split.
        from_sampling: whether the behavior policy's log-probs are taken from sampling where they agree with the
            scorer's to AGREEMENT; otherwise they are computed in one pass.
        length_normalize: whether the loss divides the log-prob of a response by its tokens.
    """

    policy: Policy
    prompts: list[Prompt]
    allocation: Allocation
    collector: Collector
    oracle: Comparer
    scorer: Scorer
    from_sampling: bool
    seed: int
    report: Report
    length_normalize: bool

    def collect(
        self,
        number: int,
        budget: int,
        drawn: int,
        behavior: Weights,
        watch: Stopwatch,
        kept: KeptBatches | None = None,
    ) -> Collected:
        """Annotated pairs of two responses each, sampled from the behavior policy.

        Args:
            number: of the round, from 0.
            budget: pairs to annotate.
            drawn: prompts that earlier rounds took from the stream.
            behavior: weights of the behavior policy.
            watch: counts "time/collect", "time/annotate" and "time/features".
            kept: what an earlier attempt sampled of this round; finished batches are added. None: nothing is kept.
        """
        report = RoundReport(self.report, number)
        collector = self.collector.keeping(kept) if kept else self.collector
        if kept and kept.found:
            report.say(f"going on after the {kept.found} batches of responses that an earlier attempt sampled")
        with report.stage(f"collecting {budget} pairs", budget) as tick:
            offer = PolicyOffer(
                stream=PromptStream(self.prompts, self.seed, drawn),
                budget=budget,
                seed=stream_seed(self.seed, "allocate", number),
                policy=self.policy,
                behavior=behavior,
                collector=collector,
                oracle=self.oracle,
                scorer=self.scorer,
                length_normalize=self.length_normalize,
                keys=PromptKeys(stream_seed(self.seed, "collect", number)),
                labels=numpy_stream(self.seed, "annotate", number),
                report=report,
                watch=watch,
                tick=tick,
            )
            with watch.stage("time/collect"), collector.serving(number):
                allocated = self.allocation.allocate(offer)
        return Collected(allocated.comparisons, offer.stream.position, offer.tally, allocated.plan)

    @property
    def engine(self) -> str:
        """What samples: the model of this process, or servers, whose log-probs are rounded otherwise."""
        return "model" if self.collector.warn_above is None else "servers"

    def score(self, number: int, collected: Collected, policies: Mapping[str, Weights], watch: Stopwatch) -> Collected:
        """Adds the log-probs of all responses under each policy. Policies that are the same object are scored once.

        Args:
            policies: "behavior", "reference" and "sft".
            watch: counts "time/reference".
        """
        report = RoundReport(self.report, number)
        comparisons = collected.comparisons
        prompts = [comparison.prompt.ids for comparison in comparisons]
        responses = [[response.ids for response in comparison.responses] for comparison in comparisons]
        scored: dict[int, list[list[float]]] = {}
        with watch.stage("time/reference"):
            to_score = {id(weights): weights for weights in policies.values()}
            if self.from_sampling and comparisons and self._sampling_agrees(comparisons, policies["behavior"]):
                behavior = to_score.pop(id(policies["behavior"]))
                scored[id(behavior)] = [
                    [response.logp or 0.0 for response in comparison.responses] for comparison in comparisons
                ]
            with report.stage(f"scoring {len(prompts)} pairs", len(prompts) * len(to_score)) as tick:
                for key, weights in to_score.items():
                    with self.policy.using(weights) as model:
                        scored[key] = self.scorer.all_logps(model, prompts, responses, tick).tolist()
        with_logps = [
            replace(comparison, logps={name: _two(scored[id(weights)][i]) for name, weights in policies.items()})
            for i, comparison in enumerate(comparisons)
        ]
        return replace(collected, comparisons=with_logps, plan=self._compared(collected.plan, with_logps, report))

    def rescore(self, folder: Path, rounds: int, trained: Weights) -> None:
        """Writes the log-probs of some pairs of each round under the trained policy; `folder` is the run's `pairs/`."""
        rescore(folder, rounds, self.prompts, self.policy, trained, self.scorer, self.report)

    def _compared(self, plan: Plan, comparisons: list[Comparison], report: RoundReport) -> Plan:
        """Notes in the plan how far the log-probs of another sampling engine are from the scorer's."""
        most, difference = self.collector.warn_above, logp_difference(comparisons)
        if most is None or difference is None:
            return plan
        if difference > most:
            report.warn(
                f"the servers' log-probs differ from the scorer's by {difference:.1e} nats a token in the mean, "
                f"more than {most:.1e} (sampler.warn_above): they may sample from another policy; compare the base "
                "model, its dtype (vllm serve --dtype) and logprobs_mode"
            )
        return replace(plan, logp_difference=difference)

    def _sampling_agrees(self, comparisons: list[Comparison], behavior: Weights) -> bool:
        """Whether the log-probs of sampling are the scorer's, tried on the pair with the most tokens."""

        def tokens(comparison: Comparison) -> int:
            return len(comparison.prompt.ids) + sum(len(response.ids) for response in comparison.responses)

        longest = max(comparisons, key=tokens)
        with self.policy.using(behavior) as model:
            ids = [[response.ids for response in longest.responses]]
            logps = self.scorer.logps(model, [longest.prompt.ids], ids)
        worst = 0.0
        for response, logp in zip(longest.responses, logps[0].tolist(), strict=True):
            assert response.logp is not None  # data with pairs of their own are refused with from_sampling
            worst = max(worst, abs(response.logp - logp) / max(len(response.ids), 1))
        worst = processes.from_main(lambda: worst)  # all processes have to go on in the same way
        if worst > AGREEMENT:
            self.report.warn(
                f"reference.from_sampling: the log-probs of sampling and scoring differ by {worst:.1e} nats a token, "
                f"more than {AGREEMENT:.0e}; the reference log-probs are computed anew"
            )
        return worst <= AGREEMENT


def logp_difference(comparisons: Sequence[Comparison]) -> float | None:
    """Mean absolute difference between the log-probs of sampling and of scoring, nats a token.

    The absolute differences of the responses' log-probs, summed and divided by all tokens; None where sampling gave
    no log-probs.
    """
    differences = [
        (abs(response.logp - scored), len(response.ids))
        for comparison in comparisons
        for response, scored in zip(comparison.responses, comparison.logps["behavior"], strict=True)
        if response.logp is not None
    ]
    tokens = sum(length for _, length in differences)
    return sum(difference for difference, _ in differences) / tokens if tokens else None


def _two(logps: list[float]) -> tuple[float, float]:
    first, second = logps
    return first, second
