"""Pairs for a reward model where no runs are given: the data's own, or sampled from the SFT policy and annotated."""

from src.allocation.base import Allocation
from src.build import build_collector, build_sft_cache
from src.collection.base import Collector
from src.collection.dataset_pairs import DatasetCollector, given
from src.collection.policy_offer import PolicyOffer
from src.collection.round_report import RoundReport
from src.config import RunConfig
from src.data.prompt_stream import PromptStream
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.inference.scorer import Scorer, scorer_for
from src.inference.uniforms import PromptKeys
from src.models.policy import Policy
from src.models.pretrained import load_tokenizer
from src.models.template import Template, template_of
from src.oracles.comparer import Comparer
from src.records import Prompt, Tally
from src.reward_fitting.preferences import Preference, without_ties
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, stream_seed


def collect_preferences(config: RunConfig, count: int, splits: Splits, report: Report) -> tuple[list[Preference], int]:
    """The data's own pairs with collect=dataset; else pairs of the SFT policy's responses, annotated by the oracle.

    Args:
        count: most pairs to take from the data; pairs to annotate, ties included.

    Returns:
        The preferences, and the number of ties left out.

    Raises:
        RunError: if a model cannot be loaded, or the oracle fails.
    """
    cache, kind = build_sft_cache(config, splits, report), config.model.template
    if config.collect.from_data:
        # Nothing is sampled here; the tokenizer tells which texts are too long.
        prompts = _prompts(config, splits, Template(load_tokenizer(cache.base()), kind))
        return given_preferences(prompts, DatasetCollector(config.task.max_new_tokens), count, config.seed), 0
    config.oracle.load()
    policy = cache.policy(config.ensemble)
    template, scorer = template_of(policy, kind), scorer_for(policy.model, config.model.tokens, report.warn)
    return sample_preferences(
        policy=policy,
        prompts=_prompts(config, splits, template),
        allocation=config.allocation,
        collector=build_collector(config, template, scorer),
        oracle=Comparer(config.oracle, splits.world, warn=report.warn),
        scorer=scorer,
        count=count,
        seed=config.seed,
        report=report,
    )


def _prompts(config: RunConfig, splits: Splits, template: Template) -> list[Prompt]:
    task = config.task
    limits = task.max_prompt_tokens, "train", None, task.max_label_tokens
    return tokenize(splits.train, template, *limits)


def given_preferences(prompts: list[Prompt], collector: DatasetCollector, count: int, seed: int) -> list[Preference]:
    """The data's own pairs, each once, at most `count` of them, in a shuffled order."""
    shuffled = PromptStream(prompts, stream_seed(seed, "reward")).take(len(prompts))
    candidates = [candidate for candidate in map(collector.candidate, shuffled) if candidate is not None]
    return without_ties(given(candidates[:count], Tally()), temperature=0.0, flip=0.0)[0]


def sample_preferences(
    policy: Policy,
    prompts: list[Prompt],
    allocation: Allocation,
    collector: Collector,
    oracle: Comparer,
    scorer: Scorer,
    count: int,
    seed: int,
    report: Report,
) -> tuple[list[Preference], int]:
    """Pairs of a policy's responses, labelled by the oracle.

    Args:
        count: pairs to annotate, ties included.
        seed: the random streams differ from those of a training run with this seed.

    Returns:
        The preferences, and the number of ties left out.
    """
    with report.stage(f"collecting {count} pairs", count) as tick:
        offer = PolicyOffer(
            stream=PromptStream(prompts, stream_seed(seed, "reward")),
            budget=count,
            seed=stream_seed(seed, "reward", "allocate"),
            policy=policy,
            behavior=policy.mean(),
            collector=collector,
            oracle=oracle,
            scorer=scorer,
            keys=PromptKeys(stream_seed(seed, "reward", "collect")),
            labels=numpy_stream(seed, "reward", "annotate"),
            report=RoundReport(report),
            length_normalize=False,  # the loss of a reward model has no log-probs
            tick=tick,
        )
        allocated = allocation.allocate(offer)
    return without_ties(allocated.comparisons, oracle.oracle.temperature, oracle.oracle.flip)
