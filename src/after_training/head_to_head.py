"""Head to head: the responses of one system against the labels or another system's responses, before a judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from src.after_training.evaluate_request import EvaluateRequest
from src.after_training.left_out import left_out
from src.after_training.load_policy import load_policy, weights_of
from src.after_training.responses_file import by_prompt, missing
from src.after_training.result_row import Side, comparable_lengths, result_row, sample_rows
from src.build import build_sampler, build_sft_cache
from src.config import RunConfig
from src.data.end_names import without_end_name
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.evaluation.diversity import distinct, unique_rate
from src.evaluation.evaluator import Evaluator
from src.evaluation.judged import judged
from src.inference.scorer import scorer_for
from src.models.policy import Policy, Weights
from src.models.pretrained import load_tokenizer
from src.models.template import Template, template_of
from src.oracles.comparer import Comparer
from src.records import Prompt, Row
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError
from src.runtime.report import Report


@dataclass(frozen=True)
class HeadToHead:
    """The outcome of a comparison.

    Attributes:
        row: as in a run's results.jsonl, and the names of both systems, a confidence interval and lengths in words.
        samples: a row for each response, as in a run's samples.jsonl.
        opponent_diversity: distinct-3 and the share of different texts among the opponent's responses.
        notes: which rows of the split were left out and why, and remarks on the files of responses.
    """

    row: dict[str, Any]
    samples: list[dict[str, Any]]
    opponent_diversity: tuple[float, float]
    notes: list[str]


def head_to_head(request: EvaluateRequest, report: Report) -> HeadToHead:
    """Samples from a policy, or takes the responses of a file, and asks the judge.

    The responses of a file are matched with the rows of the split as they stand in the data. The prompts judged are
    those that a policy would be evaluated on: each once, and none that another split has too. With a tokenizer, prompts
    too long for the policy are left out too, and lengths are in tokens; without one they are in words.

    Raises:
        ConfigError: if the data lacks the split, or a file of responses does not fit the split.
        RunError: if a model cannot be loaded, or the judge fails.
    """
    config = request.config
    splits: Splits = config.data.load(config.task.name)
    split = request.split or splits.final()
    if split not in splits.named():
        raise ConfigError([f"split={split}: the data has none; there are {', '.join(splits.named())}"])
    raw_rows, rows = config.data.rows(config.task.name).named(), splits.named()[split]
    answers, opponent_answers, notes = _read_answers(request, raw_rows[split], split)
    config.judge.load()
    policy, weights = _load_system(request, splits, report)
    template = template_of(policy, config.model.template) if policy else _template(config)
    prompts = _prompts(config, rows, template, split)
    _require_answers(request, answers, opponent_answers, prompts, split)
    judge = Comparer(config.judge, splits.world, warn=report.warn)
    samples = config.evaluate.samples if policy else 1
    asked = [prompt for prompt in prompts for _ in range(samples)]
    if policy:
        system = _sampled(request, policy, weights, judge, prompts, split, report)
    else:
        system = _side([answers[prompt.row.prompt] for prompt in prompts], template)
    if request.against:
        opponent = _side([opponent_answers[prompt.row.prompt] for prompt in asked], template)
    else:
        label_tokens = np.array([len(prompt.label_ids) for prompt in asked]) if template else None
        opponent = Side([prompt.row.label for prompt in asked], label_tokens)
    with report.stage(f"{config.judge.name} judges {len(asked)} pairs", len(asked)):
        _, *lengths = comparable_lengths(system, opponent)
        figures, columns = judged(judge, asked, system.texts, opponent.texts, *lengths)
    figures |= {"samples": samples} | judge.spent("judge")
    return HeadToHead(
        row=result_row(request, splits, split, figures, system, opponent),
        samples=sample_rows(asked, samples, system, opponent, columns, against_labels=request.against is None),
        # Once a prompt: the opponent stands beside every response of the system.
        opponent_diversity=(distinct(opponent.texts[::samples]), unique_rate(opponent.texts[::samples])),
        notes=[left_out(config, split, raw_rows, rows, prompts), *notes],
    )


def _read_answers(
    request: EvaluateRequest, raw_rows: Sequence[Row], split: str
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The responses of both files by prompt, empty without a file; and remarks on the files.

    Raises:
        ConfigError: if a file does not fit the split.
    """
    answers, notes, problems = [], [], []
    only_with_text = getattr(request.config.data, "rows_without_text", None) == "drop"
    for responses in (request.responses, request.against):
        by_text, remarks, misfits = by_prompt(responses, raw_rows, split, only_with_text) if responses else ({}, [], [])
        answers.append(by_text)
        notes += remarks
        problems += misfits
    if problems:
        raise ConfigError(problems)
    return answers[0], answers[1], notes


def _load_system(request: EvaluateRequest, splits: Splits, report: Report) -> tuple[Policy | None, Weights]:
    """The policy to be evaluated, and the weights to use it with; None for the responses of a file."""
    config = request.config
    if request.responses:
        return None, {}
    if request.saved is None:
        policy = build_sft_cache(config, splits, report).policy(config.ensemble)
        return policy, policy.mean()
    policy = load_policy(request.saved, request.base, config.model.dtype, choose_device(config.device))
    return policy, weights_of(request.saved, request.base, policy)


def _template(config: RunConfig) -> Template | None:
    """Counts tokens where no policy is loaded, with the tokenizer of model.path; None without a model.path."""
    return Template(load_tokenizer(config.model.path), config.model.template) if config.model.path else None


def _prompts(config: RunConfig, rows: list[Row], template: Template | None, split: str) -> list[Prompt]:
    """The prompts to be judged. Without a tokenizer they have no token ids, which no judge needs."""
    first = config.evaluate.prompts
    if template is None:
        ended = (replace(row, label=without_end_name(row.label)) for row in rows[:first])
        return [Prompt(id, row, (), ()) for id, row in enumerate(ended)]
    task = config.task
    return tokenize(rows, template, task.max_prompt_tokens, split, first, task.max_label_tokens)


def _require_answers(
    request: EvaluateRequest,
    answers: Mapping[str, str],
    opponent_answers: Mapping[str, str],
    prompts: Sequence[Prompt],
    split: str,
) -> None:
    """Raises ConfigError if a file of responses lacks a prompt that is to be judged."""
    texts = [prompt.row.prompt for prompt in prompts]
    files = ((request.responses, answers), (request.against, opponent_answers))
    if problems := [line for file, found in files if file for line in missing(file, found, texts, split)]:
        raise ConfigError(problems)


def _sampled(
    request: EvaluateRequest,
    policy: Policy,
    weights: Weights,
    judge: Comparer,
    prompts: list[Prompt],
    split: str,
    report: Report,
) -> Side:
    """A policy's responses to each prompt, drawn from the random stream of a run's evaluations."""
    config = request.config
    scorer = scorer_for(policy.model, config.model.tokens, report.warn)
    evaluator = Evaluator(
        policy=policy,
        sampler=build_sampler(config, scorer, config.evaluate.temperature),
        template=template_of(policy, config.model.template),
        scorer=scorer,
        judge=judge,
        prompts={split: prompts},
        seed=config.seed,
        kl_prompts=None,
    )
    with report.stage(f"{request.system} answers {len(prompts)} prompts of {split}", len(prompts)) as tick:
        groups = evaluator.respond(weights, split, samples=config.evaluate.samples, tick=tick)
    responses = [ids for group in groups for ids in group]
    return Side([evaluator.template.text(ids) for ids in responses], np.array([len(ids) for ids in responses]))


def _side(texts: list[str], template: Template | None) -> Side:
    """The texts of a file, as labels without the names of end tokens, with their lengths where there is a tokenizer."""
    if template is None:
        return Side([without_end_name(text) for text in texts], None)
    texts = [without_end_name(text, template.end_names) for text in texts]
    return Side(texts, np.array([len(ids) for ids in template.all_response_ids(texts)]))
