"""A match: what one system says to the prompts of a split, against the labels or another system, before a judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.table import Table
from rich.text import Text

from src.after_training.responses_file import Responses, by_prompt, missing
from src.after_training.saved_policy import SFT, SavedPolicy, load_policy, weights_of
from src.build import build_sampler, build_sft_cache
from src.config import RunConfig
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.evaluation.evaluator import Evaluator, compared
from src.evaluation.win_rate import distinct, unique_rate, win_rate_interval
from src.inference.scorer import scorer_for
from src.models.policy import Policy, Weights
from src.models.pretrained import load_tokenizer
from src.models.template import Template, template_of
from src.oracles.answers import Ledger
from src.oracles.comparer import Comparer
from src.records import Prompt, Row, Tally
from src.run_folder.folder import SCHEMA_VERSION
from src.run_folder.identity import build_folder, git_sha
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError
from src.runtime.printable import printable
from src.runtime.report import Report, percent
from src.runtime.seeding import numpy_stream
from src.storage.files import append_rows
from src.storage.run_name import config_hash


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        config: of task, data, judge and model.
        plain: the same, as plain dicts.
        choices: group -> the yaml chosen; of a run's policy, where it differs from the run.
        saved: the policy; None for responses and for the SFT policy.
        base: the model that the policy's weights belong to.
        responses: read from a file, instead of a policy.
        against: what they are compared with; None for the labels.
        split: None for the split of the final evaluation.
        results, samples: files to be written.
    """

    config: RunConfig
    plain: Mapping[str, Any]
    choices: Mapping[str, str]
    saved: SavedPolicy | None
    base: str
    responses: Responses | None
    against: Responses | None
    split: str | None
    results: Path | None
    samples: Path | None

    @property
    def system(self) -> str:
        """What is evaluated, for tables and rows."""
        if self.responses:
            return self.responses.path.name
        return self.saved.name if self.saved else SFT

    @property
    def opponent(self) -> str:
        """What it is compared with."""
        return self.against.path.name if self.against else "label"


@dataclass(frozen=True)
class Match:
    """What came of it.

    Attributes:
        row: as in a run's results.jsonl, with the names of both systems, an interval and lengths in words besides.
        samples: a row a prompt, as in a run's samples.jsonl.
        other: distinct-3 and the share of different texts of what was compared with.
        notes: where the rows of the split went, and what else a reader should know.
    """

    row: dict[str, Any]
    samples: list[dict[str, Any]]
    other: tuple[float, float]
    notes: list[str]


@dataclass(frozen=True)
class Side:
    """The texts of one system, one a prompt; `tokens` are their lengths, None without a tokenizer."""

    texts: list[str]
    tokens: np.ndarray | None

    @property
    def words(self) -> np.ndarray:
        """Lengths in words."""
        return np.array([len(text.split()) for text in self.texts])


def play(request: Request, report: Report) -> Match:
    """Samples from a policy or takes the responses of a file, and asks the judge.

    A file's responses are found by the rows of the split as they lie in the data, and the prompts judged are those that
    a policy would be evaluated on: each once, and none that is in another split. Where there is a tokenizer, prompts
    too long for the policy are left out, too, and lengths are in its tokens; otherwise they are in words.

    Raises:
        ConfigError: if the split is not there, or the responses do not fit it.
        RunError: if a model cannot be loaded, or the judge fails.
    """
    config = request.config
    splits: Splits = config.data.load(config.task.name)
    split = request.split or splits.final()
    if split not in splits.named():
        raise ConfigError([f"split={split}: the data has none; there are {', '.join(splits.named())}"])
    lying, rows = config.data.rows(config.task.name).named(), splits.named()[split]
    answers, others, notes = _found(request, lying[split], split)
    config.judge.load()
    policy, weights = load_system(request, splits, report)
    template = template_of(policy, config.model.template) if policy else _template(config)
    prompts = _prompts(config, rows, template, split)
    problems = [
        line
        for responses, found in ((request.responses, answers), (request.against, others))
        if responses
        for line in missing(responses, found, [prompt.row.prompt for prompt in prompts], split)
    ]
    if problems:
        raise ConfigError(problems)
    judge = Comparer(config.judge, splits.world)
    if policy:
        scorer = scorer_for(policy.model, config.model.tokens, report.warn)
        evaluator = Evaluator(
            policy=policy,
            sampler=build_sampler(config, scorer, config.evaluate.temperature),
            template=template_of(policy, config.model.template),
            scorer=scorer,
            judge=judge,
            prompts={split: prompts},
            seed=config.seed,
        )
        with report.stage(f"{request.system} answers {len(prompts)} prompts of {split}", len(prompts)) as tick:
            ids, texts = evaluator.respond(weights, split, tick=tick)
        ours = Side(texts, np.array([len(one) for one in ids]))
    else:
        ours = _side([answers[prompt.row.prompt] for prompt in prompts], template)
    theirs = (
        _side([others[prompt.row.prompt] for prompt in prompts], template)
        if request.against
        else Side(
            [prompt.row.label for prompt in prompts],
            np.array([len(prompt.label_ids) for prompt in prompts]) if template else None,
        )
    )
    with report.stage(f"{config.judge.name} judges {len(prompts)} pairs", len(prompts)):
        row, samples = _judged(request, splits, judge, prompts, ours, theirs, split)
    notes = [_whereabouts(config, split, lying, rows, prompts), *notes]
    return Match(row, samples, (distinct(theirs.texts), unique_rate(theirs.texts)), notes)


def load_system(request: Request, splits: Splits, report: Report) -> tuple[Policy | None, Weights]:
    """The policy that is evaluated, and the weights to put in place; none for responses of a file."""
    config = request.config
    if request.responses:
        return None, {}
    if request.saved is None:
        policy = build_sft_cache(config, splits, report).policy(config.ensemble)
        return policy, policy.mean()
    policy = load_policy(request.saved, request.base, config.model.dtype, choose_device(config.device))
    return policy, weights_of(request.saved, request.base, policy)


def _found(request: Request, lying: Sequence[Row], split: str) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The responses of both files by prompt, and notes on them."""
    found, notes, problems = [], [], []
    only_with_text = getattr(request.config.data, "rows_without_text", None) == "drop"
    for responses in (request.responses, request.against):
        texts, remarks, wrong = by_prompt(responses, lying, split, only_with_text) if responses else ({}, [], [])
        found.append(texts)
        notes += remarks
        problems += wrong
    if problems:
        raise ConfigError(problems)
    return found[0], found[1], notes


def _template(config: RunConfig) -> Template | None:
    """What counts tokens where no policy is loaded: the tokenizer of model.path, if it is given."""
    return Template(load_tokenizer(config.model.path), config.model.template) if config.model.path else None


def _prompts(config: RunConfig, rows: list[Row], template: Template | None, split: str) -> list[Prompt]:
    """The prompts to be judged; without a tokenizer they have no token ids, and judges need none."""
    if template is not None:
        task = config.task
        limits = task.max_prompt_tokens, split, config.evaluate.prompts, task.max_label_tokens
        return tokenize(rows, template, *limits)
    return [Prompt(id, row, (), ()) for id, row in enumerate(rows[: config.evaluate.prompts])]


def _side(texts: list[str], template: Template | None) -> Side:
    return Side(texts, None if template is None else np.array([len(template.response_ids(text)) for text in texts]))


def _judged(
    request: Request, splits: Splits, judge: Comparer, prompts: list[Prompt], ours: Side, theirs: Side, split: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result row, and a sample a prompt."""
    in_tokens = ours.tokens is not None and theirs.tokens is not None
    lengths = (ours.tokens, theirs.tokens) if in_tokens else (ours.words, theirs.words)
    figures, verdicts = compared(judge, prompts, ours.texts, theirs.texts, *lengths)  # type: ignore[arg-type]
    outcomes = np.array([np.nan if one["outcome"] is None else one["outcome"] for one in verdicts])
    row = _identity(request, splits) | {"split": split} | figures | judge.spent("judge")
    row |= {
        "response_tokens_mean": _mean(ours.tokens),
        "label_tokens_mean": _mean(theirs.tokens),
        # The SFT policy that a KL would be to is not loaded.
        "kl_sft": None,
        "system": request.system,
        "against": request.opponent,
        "win_rate_interval": win_rate_interval(outcomes, numpy_stream(request.config.seed, "interval", split)),
        "length_unit": "tokens" if in_tokens else "words",
        "response_words_mean": _mean(ours.words),
        "label_words_mean": _mean(theirs.words),
    }
    samples = []
    for place, (prompt, text, other, verdict) in enumerate(
        zip(prompts, ours.texts, theirs.texts, verdicts, strict=True)
    ):
        sample = {
            "prompt_id": prompt.id,
            "prompt": prompt.row.prompt,
            "response": text,
            "label": prompt.row.label,
            "response_tokens": None if ours.tokens is None else int(ours.tokens[place]),
            "label_tokens": None if theirs.tokens is None else int(theirs.tokens[place]),
        }
        if request.against:
            verdict = verdict | {"label_score": None, "against": other, "against_score": verdict["label_score"]}
        samples.append(sample | verdict)
    return row, samples


def _identity(request: Request, splits: Splits) -> dict[str, Any]:
    """The facts that stand in front of a row: a run's own, or those that are known without one; the rest is None."""
    config = request.config
    now = {
        "schema_version": SCHEMA_VERSION,
        "git_sha": git_sha(),
        "task": config.task.name,
        "judge": config.judge.name,
        "seed": config.seed,
        "data_fingerprint": splits.fingerprint(),
    }
    if request.saved and request.saved.run:
        facts = request.saved.facts()
        return (
            facts
            | now
            | {
                "config_hash": config_hash(request.plain),
                "data": request.choices.get("data", facts.get("data")),
                "judge_is_oracle": config.judge.name == facts.get("oracle"),
                "temperature": config.evaluate.temperature,
            }
        )
    spent = [*vars(Tally()), *(f"{role}_{name}" for role in ("oracle", "judge") for name in Ledger().totals())]
    fields = (*build_folder(config, request.plain, request.choices, Path()).identity, "round", "step", *spent)
    policy: dict[str, Any] = {}
    if not request.responses:
        policy = {"temperature": config.evaluate.temperature, "model": Path(request.base).name}
        if request.saved is None:
            policy |= {"model": config.model.name, "ensemble": config.ensemble}
    unknown = dict.fromkeys(("schema_version", *fields, "seconds"))
    return unknown | now | {"data": request.choices["data"]} | policy


def _mean(lengths: np.ndarray | None) -> float | None:
    return None if lengths is None else float(lengths.mean())


def _whereabouts(
    config: RunConfig, split: str, lying: Mapping[str, Sequence[Row]], rows: Sequence[Row], prompts: Sequence[Prompt]
) -> str:
    """Where every row of the split went.

    Args:
        lying: the rows of every split as they lie in the data.
        rows: of the split, as the data give them for evaluation.
    """
    count, different = len(lying[split]), {row.prompt for row in lying[split]}
    # A prompt that test has, too, stays there.
    shared = different & {row.prompt for row in lying.get("test", ())} if split != "test" else set()
    full = config.evaluate.prompts is not None and len(prompts) == config.evaluate.prompts
    seen = prompts[-1].id + 1 if full else len(rows)
    limit = config.task.max_prompt_tokens
    parts = [
        (count - len(different), "whose prompt came before"),
        (len(shared), "whose prompt is in another split too"),
        (len(different) - len(shared) - len(rows), f"cut by data.{split}={len(rows)}"),
        (seen - len(prompts), f"with a prompt of more than {limit} tokens or a label too long (task.max_*_tokens)"),
        (len(rows) - seen, f"after the first {len(prompts)} (evaluate.prompts)"),
    ]
    left_out = [f"{number} {why}" for number, why in parts if number]
    return f"{split}: {count} rows, {len(prompts)} judged" + (f"; left out: {', '.join(left_out)}" if left_out else "")


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Appends a row to a file that other processes may append to at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        append_rows(path, [row])


def show(match: Match, report: Report) -> None:
    """Prints the table."""
    row = match.row
    low, high = row["win_rate_interval"] or (None, None)
    unit = row["length_unit"]
    table = Table(title=Text(printable(f"{row['n_prompts']} prompts of {row['split']}, judged by {row['judge']}")))
    for name in ("", "win rate", "95 % interval", "length-controlled", unit, "distinct-3", "unique"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    lengths = [row[f"{side}_{unit}_mean"] for side in ("response", "label")]
    table.add_row(
        Text(printable(row["system"])),
        percent(row["win_rate"]),
        f"{percent(low)} to {percent(high)}",
        percent(row["win_rate_length_controlled"]),
        f"{lengths[0]:.1f}",
        f"{row['distinct_3']:.3f}",
        f"{row['unique_rate']:.3f}",
    )
    other = [f"{share:.3f}" for share in match.other]
    table.add_row(Text(printable(f"against {row['against']}")), "", "", "", f"{lengths[1]:.1f}", *other)
    report.console.print(table)
    report.say(f"{row['wins']} wins, {row['ties']} ties, {row['losses']} losses, {row['n_invalid']} invalid")
    for note in match.notes:
        report.say(note)
    if row["judge_is_oracle"]:
        report.say("The judge is the oracle's own model: this win rate also rewards what only that model likes.")
