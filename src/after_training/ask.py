"""Asking several policies the same prompts: one model in memory, the weights of one policy after the other."""

from collections.abc import Callable

from src.after_training.load_policy import load_policy, weights_of
from src.after_training.sample_request import SampleRequest
from src.after_training.side_by_side import Saying
from src.build import build_sampler, build_sft_cache
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.inference.sampler import Sampler
from src.inference.scorer import scorer_for
from src.inference.uniforms import PromptKeys, response_keys
from src.models.policy import Policy, Weights
from src.models.template import Template, template_of
from src.records import Prompt, Row
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, stream_seed


def ask(request: SampleRequest, report: Report) -> list[Saying]:
    """Samples k responses of every policy to every prompt, from the same random stream for each policy.

    Returns:
        The prompts in the order of their split, with the responses.

    Raises:
        ConfigError: if the data lacks the split.
        RunError: if a policy cannot be loaded, or has another base model than the first policy.
    """
    config = request.config
    splits = config.data.load(config.task.name) if request.prompt is None or request.asks_sft else None
    rows = [Row(request.prompt, "")] if request.prompt is not None else _rows(splits, request.split)
    policy, sft = _load(request, splits, report)
    template = template_of(policy, config.model.template)
    prompts = _draw(request, tokenize(rows, template, config.task.max_prompt_tokens, _source(request)))
    scorer = scorer_for(policy.model, config.model.tokens, report.warn)
    sampler = build_sampler(config, scorer, request.temperature)
    responses: dict[str, list[list[str]]] = {}
    for name, saved in request.policies.items():
        weights = sft if saved is None else weights_of(*saved, policy)
        with report.stage(f"{name} answers {len(prompts)} prompts", len(prompts)) as tick:
            responses[name] = _responses(request, policy, sampler, template, weights, prompts, tick)
    return [
        Saying(prompt.row.prompt, prompt.row.label or None, {name: texts[index] for name, texts in responses.items()})
        for index, prompt in enumerate(prompts)
    ]


def _rows(splits: Splits | None, split: str) -> list[Row]:
    """The rows of a split.

    Raises:
        ConfigError: if the data lacks the split.
    """
    assert splits is not None  # loaded, since there is no typed prompt
    if split not in splits.named():
        raise ConfigError([f"split={split}: the data has none; there are {', '.join(splits.named())}"])
    return splits.named()[split]


def _source(request: SampleRequest) -> str:
    """Where the prompts come from, for messages."""
    return "prompt" if request.prompt else request.split


def _draw(request: SampleRequest, prompts: list[Prompt]) -> list[Prompt]:
    """n of the prompts, drawn with the seed, in their order."""
    if request.n >= len(prompts):
        return prompts
    rng = numpy_stream(request.config.seed, "sample", request.split)
    return [prompts[index] for index in sorted(rng.choice(len(prompts), request.n, replace=False))]


def _load(request: SampleRequest, splits: Splits | None, report: Report) -> tuple[Policy, Weights]:
    """The model that the weights of all policies go into, and the SFT policy's weights (empty if it is not asked)."""
    config = request.config
    if request.asks_sft:
        assert splits is not None  # loaded, since the SFT policy may have to be trained
        policy = build_sft_cache(config, splits, report).policy(config.ensemble)
        return policy, policy.mean()
    policies = [saved for saved in request.policies.values() if saved]
    # Adapters need adapter layers; the weights of a whole model fit into a model with or without such layers.
    saved, base = next((each for each in policies if each[0].is_adapter), policies[0])
    return load_policy(saved, base, config.model.dtype, choose_device(config.device)), {}


def _responses(
    request: SampleRequest,
    policy: Policy,
    sampler: Sampler,
    template: Template,
    weights: Weights,
    prompts: list[Prompt],
    tick: Callable[[int], None],
) -> list[list[str]]:
    """k texts to each prompt."""
    prompt_keys = PromptKeys(stream_seed(request.config.seed, "sample")).take(len(prompts))
    with policy.using(weights) as model:
        ids, keys = [prompt.ids for prompt in prompts], response_keys(prompt_keys, 0, request.k)
        drawn = sampler.sample(model, ids, keys, template.end_ids, tick)
    return [[template.text(response) for response in group] for group in drawn]
