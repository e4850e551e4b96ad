"""From a checked configuration to an experiment: the one place where the parts meet."""

from collections.abc import Callable

import transformers

from src.allocation.base import uniform_instead
from src.collection.base import Collector
from src.collection.round import CollectionRound
from src.config import RunConfig
from src.data.splits import Splits, shared_prompts
from src.data.tokenized import tokenize
from src.evaluation.evaluator import Evaluator
from src.evaluation.kept_responses import KeptResponses
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, scorer_for
from src.learning.learner import Learner
from src.learning.schedule import round_sizes
from src.learning.sft_cache import SftCache
from src.loop import Experiment
from src.models import sharding
from src.models.fingerprint import model_fingerprint, weights_fingerprint
from src.models.policy import Policy
from src.models.template import Template, template_of
from src.oracles.base import Scoring
from src.oracles.comparer import Comparer
from src.references.gold import Gold
from src.run_folder.folder import RunFolder
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError
from src.runtime.report import Report
from src.samplers.base import ResponseSampler, SamplerSite
from src.samplers.hf import LocalSampler
from src.storage.files import local_path
from src.storage.kept_hashes import keep_hashes_in


def build_experiment(config: RunConfig, splits: Splits, folder: RunFolder, report: Report) -> Experiment:
    """Makes (or finds) the SFT policy and puts the parts of a run together."""
    check_rows(config, splits)
    task, model, oracle = config.task, config.model, config.oracle
    judge = oracle if config.judge == oracle else config.judge
    for asked in (judge,) if config.collect.from_data else (oracle, judge):
        asked.load()
    if isinstance(config.reference, Gold) and model.path:
        config.reference.require_fit(model.path)
    cache = build_sft_cache(config, splits, report)
    # A resumed run may have collected all it needs.
    untried = config.sampler.own_engine and not folder.checkpoint.is_dir()
    explained = try_engine(config, cache, folder, report) if untried else None
    policy = cache.policy(config.ensemble)
    folder = folder.starting_from(weights_fingerprint(policy.trainable()))
    if sharding.wanted():
        policy.shard()
    template = template_of(policy, model.template)
    final = splits.final()
    counts = {"validation": config.evaluate.validation_prompts, final: config.evaluate.prompts}
    if final == "validation":
        counts[final] = larger(config.evaluate.validation_prompts, config.evaluate.prompts)
    prompts = {
        name: tokenize(rows, template, task.max_prompt_tokens, name, counts.get(name), task.max_label_tokens)
        for name, rows in splits.named().items()
    }
    scorer = scorer_for(policy.model, model.tokens, report.warn)
    site = site_of(config, policy, scorer, folder, explained, report)
    return Experiment(
        T=config.T,
        F=config.rounds,
        batch_size=config.batch_size,
        evaluations=config.evaluate,
        checkpoint_every=config.checkpoint_every,
        policy=policy,
        sft=policy.mean(),
        reference=config.reference,
        collection=CollectionRound(
            policy=policy,
            prompts=prompts["train"],
            allocation=config.allocation,
            collector=build_collector(config, template, scorer, lambda local: config.sampler.sampler(local, site)),
            oracle=Comparer(oracle, splits.world, folder.ledger("oracle"), report.warn),
            scorer=scorer,
            from_sampling=config.reference.from_sampling,
            seed=config.seed,
            report=report,
            length_normalize=config.loss.length_normalize,
        ),
        learner=Learner(policy, config.loss, scorer, config.optimizer, config.learning_rate, config.T),
        evaluator=Evaluator(
            policy=policy,
            sampler=build_sampler(config, scorer, config.evaluate.temperature),
            template=template,
            scorer=scorer,
            judge=Comparer(judge, splits.world, folder.ledger("judge"), report.warn),
            prompts=prompts,
            seed=config.seed,
            kl_prompts=config.evaluate.kl_prompts,
            kept=KeptResponses(
                root=local_path(config.cache),
                common={
                    "policy": folder.identity["sft_fingerprint"],
                    "base": model_fingerprint(policy.base),
                    "dtype": model.dtype,
                },
            ),
            proxy=build_proxy(config, splits, folder),
        ),
        final_split=final,
        folder=folder,
        report=report,
    )


def try_engine(config: RunConfig, cache: SftCache, folder: RunFolder, report: Report) -> float | None:
    """Tries another engine that samples, with a random policy of the run's shape on the base model.

    Returns:
        How far its log-probs are from the scorer's, in nats a token.

    Raises:
        RunError: if it cannot be used, with what to do.
    """
    policy, prompts = cache.trial(config.ensemble)
    template = template_of(policy, config.model.template)
    scorer = scorer_for(policy.model, config.model.tokens, report.warn)
    site = site_of(config, policy, scorer, folder, None, report)
    apart: list[float | None] = []

    def tried(local: Sampler) -> ResponseSampler:
        engine = config.sampler.sampler(local, site)
        apart.append(engine.trial([prompt.ids for prompt in prompts], template.end_ids))
        return engine

    build_collector(config, template, scorer, tried)
    return apart[0]


def site_of(
    config: RunConfig, policy: Policy, scorer: Scorer, folder: RunFolder, explained: float | None, report: Report
) -> SamplerSite:
    """What a sampler hears of the run that it works for."""
    longest = config.task.max_prompt_tokens + config.task.max_new_tokens
    return SamplerSite(policy, scorer, longest, folder.path, explained, report.say, report.warn)


def check_rows(config: RunConfig, splits: Splits) -> None:
    """Checks what is known of a run only when its rows are read.

    Raises:
        ConfigError: if splits share prompts, or there are too few prompts for the allocation.
    """
    problems = shared_prompts(splits)
    largest = max(round_sizes(config.T, config.rounds)) * config.batch_size
    if reason := config.allocation.too_small(largest, len(splits.train)):
        problems.append(f"allocation: {uniform_instead(reason)}")
    if problems:
        raise ConfigError(problems)


def build_proxy(config: RunConfig, splits: Splits, folder: RunFolder) -> Comparer | None:
    """What scores the evaluation's responses beside the judge: the oracle, if it scores texts and is another model."""
    asked = not config.collect.from_data and not folder.identity["judge_is_oracle"]
    return Comparer(config.oracle, splits.world) if asked and isinstance(config.oracle, Scoring) else None


def build_collector(
    config: RunConfig,
    template: Template,
    scorer: Scorer,
    engine: Callable[[Sampler], ResponseSampler] = LocalSampler,
) -> Collector:
    """What gives each prompt its two responses.

    Args:
        engine: makes the sampler of training pairs from the settings that a sampler in this process would have.
    """

    def sampler(temperature: float, top_k: int, top_p: float) -> ResponseSampler:
        return engine(build_sampler(config, scorer, temperature, top_k, top_p))

    return config.collect.collector(sampler, template, config.task.max_new_tokens)


def build_sampler(config: RunConfig, scorer: Scorer, temperature: float, top_k: int = 0, top_p: float = 1.0) -> Sampler:
    """A sampler with the task's and the model's limits; the rows that share their prompt are those of the scorer."""
    limits = config.task.max_new_tokens, config.model.rows, scorer.longest
    return Sampler(temperature, top_k, top_p, *limits)


def quiet_libraries() -> None:
    """Turns off transformers' own progress bars: one for every load of a small model buries ours."""
    transformers.utils.logging.disable_progress_bar()


def build_sft_cache(config: RunConfig, splits: Splits, report: Report) -> SftCache:
    """The cache of SFT policies for a configuration's model and data."""
    keep_hashes_in(local_path(config.cache))
    return SftCache(
        folder=local_path(config.cache),
        spec=config.model,
        rows=splits.train,
        max_prompt_tokens=config.task.max_prompt_tokens,
        max_new_tokens=config.task.max_new_tokens,
        max_label_tokens=config.task.max_label_tokens,
        device=choose_device(config.device),
        report=report,
    )


def larger(one: int | None, other: int | None) -> int | None:
    """The larger of two numbers of prompts, None being all of them."""
    return None if one is None or other is None else max(one, other)
