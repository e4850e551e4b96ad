"""Making the SFT policy of a configuration, or finding it in the cache, and printing a few of its responses."""

import json
from pathlib import Path
from typing import Any

from src.after_training.side_by_side import Saying, side_by_side
from src.build import build_sampler, build_sft_cache, quiet_libraries
from src.cli.read_config import read_config
from src.config import RunConfig
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.inference.scorer import scorer_for
from src.inference.uniforms import PromptKeys, response_keys
from src.models.policy import Policy
from src.models.template import template_of
from src.runtime.cpu_threads import use_processor
from src.runtime.errors import ConfigError
from src.runtime.report import Report
from src.runtime.seeding import stream_seed

# Prompts of validation whose responses are shown.
SHOWN = 5


def make_sft_policy(plain: dict[str, Any]) -> None:
    """Makes or finds the SFT policy; prints its folders, how it was trained, and responses to validation prompts.

    Args:
        plain: a composed configuration as plain dicts.

    Raises:
        ConfigError: if the configuration cannot run.
        RunError: if the policy cannot be made.
    """
    config, problems = read_config(plain)
    if config is None:
        raise ConfigError(problems)
    quiet_libraries()
    report = Report()
    report.say(use_processor())
    splits = config.data.load(config.task.name)
    with report.live():
        cache = build_sft_cache(config, splits, report)
        policy = cache.policy(config.ensemble)
    base = cache.base()
    for folder in [Path(base), *(cache.member(index, base) for index in range(config.ensemble))]:
        file = folder / "made.json"
        facts = json.loads(file.read_text()) if file.is_file() else {"what": "base model, as given"}
        about = ", ".join(f"{name} {value:.4g}" for name, value in facts.items() if isinstance(value, int | float))
        report.say(f"{facts['what']}: {folder}" + (f" ({about})" if about else ""))
    sayings = _responses(config, splits, policy, report)
    report.console.print(side_by_side(sayings, "on validation", report.console.width))


def _responses(config: RunConfig, splits: Splits, policy: Policy, report: Report) -> list[Saying]:
    """One response to each of the first prompts of validation."""
    task, template = config.task, template_of(policy, config.model.template)
    limits = task.max_prompt_tokens, "validation", SHOWN, task.max_label_tokens
    prompts = tokenize(splits.validation, template, *limits)
    keys = response_keys(PromptKeys(stream_seed(config.seed, "sft")).take(len(prompts)), 0, 1)
    with policy.using(policy.mean()) as model:
        scorer = scorer_for(policy.model, config.model.tokens, report.warn)
        sampler = build_sampler(config, scorer, config.evaluate.temperature)
        drawn = sampler.sample(model, [prompt.ids for prompt in prompts], keys, template.end_ids)
    return [
        Saying(prompt.row.prompt, prompt.row.label, {"SFT policy": [template.text(responses[0])]})
        for prompt, responses in zip(prompts, drawn, strict=True)
    ]
