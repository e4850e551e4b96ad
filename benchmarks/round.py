"""A whole round at F=T: sample two responses to each prompt, annotate them, score the reference, take one step.

    python -m benchmarks.round model=smollm2_135m model.path=DIR data.path=DIR json=FILE

ratio_trl_online              our pairs a second relative to TRL's experimental OnlineDPOTrainer at its best settings
ratio_trl_online_as_it_comes  relative to its default settings: gradient checkpointing, so it samples without a cache
pairs_per_second              of ours
seconds_collect, ...          of ours, by stage; fold computes the policies' weights

Both sides have the same prompts in the same order, temperature 1, the same limit on tokens, and the same reward, which
costs nothing. TRL's reference is the policy at the start. Ours is the behavior policy unless reference=sft is given;
both cost the same, because the KL to the start is a metric either way. reference.from_sampling=true saves a pass over
the pairs. start=sft begins with the SFT policy, whose responses are as long as labels. as_it_comes=false leaves out
TRL's default settings, by far the slowest. Keys of benchmarks, with their values: conf/bench.yaml; the others:
src.train --help.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rich.console import Console

from benchmarks import trl_peer
from benchmarks.arguments import Bench, command
from benchmarks.figures import ratio
from benchmarks.material import Material, material
from benchmarks.ours import new_learner
from benchmarks.outcome import finish
from benchmarks.sides import Side, Turns, Work, alternate_as_asked
from src.allocation.base import Allocated
from src.allocation.uniform import Uniform
from src.collection.round import CollectionRound
from src.collection.sampled_pairs import SamplingCollector
from src.data.world import World
from src.inference.sampler import Sampler
from src.loop import STAGES
from src.models.template import template_of
from src.oracles.comparer import Comparer
from src.records import Prompt
from src.runtime.errors import RunError
from src.runtime.report import Report
from src.runtime.stopwatch import Stopwatch
from src.samplers.hf import LocalSampler


@dataclass(frozen=True)
class CheapOracle:
    """`trl_peer.cheap_reward` as an oracle."""

    temperature: ClassVar[float] = 0.0
    flip: ClassVar[float] = 0.0
    name: ClassVar[str] = "cheap"

    def problems(self) -> list[str]:
        return []

    def load(self) -> None:
        return

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [trl_peer.cheap_reward(text) for text in texts]


@dataclass
class FixedStream:
    """A prompt stream that gives these prompts in their order."""

    prompts: list[Prompt]

    def take(self, count: int) -> list[Prompt]:
        taken, self.prompts = self.prompts[:count], self.prompts[count:]
        return taken


@dataclass(frozen=True)
class InOrder:
    """An allocation of one pair per prompt, on the prompts of each turn in their order."""

    batches: list[list[Prompt]]
    samples: ClassVar[bool] = False

    def problems(self) -> list[str]:
        return []

    def too_small(self, budget: int, prompts: int) -> str | None:
        return None

    def allocate(self, offer: Any) -> Allocated:
        batch = self.batches[offer.stream.position // offer.budget]
        return Uniform(depth=1).allocate(replace(offer, stream=FixedStream(list(batch))))


def ours(turns: Turns, given: Material) -> None:
    """A turn is one of our rounds; pairs are not written to disk."""
    take = rounds(given)
    turns.ready(tokens=[sum(len(prompt.ids) for prompt in batch) for batch in given.batches])
    for turn in range(len(given.batches)):
        turns.wait()
        turns.done(**take(turn))


def rounds(given: Material) -> Callable[[int], dict[str, Any]]:
    """Loads everything; returns a function from turn number to the tokens sampled and the seconds of each stage."""
    config, batches = given.config, given.batches
    learner = new_learner(given, config.ensemble)
    policy, template = learner.policy, template_of(learner.policy, config.model.template)
    sampler = Sampler(1.0, 0, 1.0, config.task.max_new_tokens, config.model.rows, learner.scorer.longest)
    collection = CollectionRound(
        policy=policy,
        prompts=[prompt for batch in batches for prompt in batch],
        allocation=InOrder(batches),
        collector=SamplingCollector(LocalSampler(sampler), template, resample=0),
        oracle=Comparer(CheapOracle(), None),
        scorer=learner.scorer,
        from_sampling=config.reference.from_sampling,
        seed=config.seed,
        report=Report(Console(quiet=True)),
        length_normalize=config.loss.length_normalize,
    )
    start, size = policy.mean(), len(batches[0])

    def take(turn: int) -> dict[str, Any]:
        watch = Stopwatch(STAGES[:-1])
        with watch.stage("time/fold"):
            behavior = policy.mean()
            reference = config.reference.weights(policy, behavior, start, None, 0)
            policies = {"behavior": behavior, "reference": reference, "sft": start}
        collected = collection.collect(turn, size, turn * size, behavior, watch)
        pairs = collection.score(turn, collected, policies, watch).comparisons
        with watch.stage("time/learn"):
            learner.step(0, pairs)
        tokens = sum(len(response.ids) for pair in pairs for response in pair.responses)
        return {"tokens": tokens, "stages": watch.lap()}

    return take


def pace(side: Side, pairs: int) -> dict[str, float]:
    """Figures of our side: pairs a second, and median seconds of each stage."""
    stages = {
        f"seconds_{name.removeprefix('time/')}": statistics.median(turn["stages"][name] for turn in side.turns)
        for name in side.turns[0]["stages"]
    }
    return {"pairs_per_second": pairs / statistics.median(side.seconds())} | stages


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    skipped = trl_peer.skipped(bench, report)
    rivals: dict[str, Work | None] = {"": None}
    if skipped is None:
        rivals = {"trl_online": trl_peer.online}
        rivals |= {"trl_online_as_it_comes": trl_peer.online_as_it_comes} if bench.keys.as_it_comes else {}
    measured: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    with report.live(), material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        for rival, work in rivals.items():
            sides: dict[str, tuple[Work, Any]] = {"ours": (ours, given)}
            if work is not None:
                sides[rival] = work, given
            done = alternate_as_asked(sides, bench, report)
            measured += [(bench.precisions()[0], side) for side in done.values()]
            figures = pace(done["ours"], bench.keys.pairs) | figures
            if work is not None:
                if done[rival].facts["tokens"] != done["ours"].facts["tokens"]:
                    raise RunError(f"{rival} tokenized the prompts differently from ours: not the same work")
                figures |= ratio(done[rival].seconds(), done["ours"].seconds()).named(f"ratio_{rival}")
    return finish("round", bench, figures | {"skipped": skipped}, measured, report)


if __name__ == "__main__":
    command(__doc__ or "", ("reference", "peer", "start", "as_it_comes"), measure)
