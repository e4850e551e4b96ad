"""What policies say, side by side.

    python -m src.sample policy=outputs/default
    python -m src.sample policy=sft,outputs/F=1,outputs/F=8 split=test n=3
    python -m src.sample policy=outputs/default prompt="How do I keep bread fresh?" k=4 temperature=1

policy=A[,B,..]  runs' folders (the configuration of the first is the default of all that follows), their policy/, PEFT
                 adapters or model folders, all of one base model; `sft` is the SFT policy of the configuration
base=DIR         the base model of adapters, where the one they name is not there
prompt=TEXT      what they are asked; or
split=NAME       train, validation (the default) or test: n=5 prompts of it, drawn with the seed
k=1              responses of each to a prompt
temperature=1    0 is greedy; by default evaluate.temperature
json=FILE        writes all of it, too

task, data, source, model, seed, device, cache, ensemble and evaluate.temperature are keys of `python -m src.train` (see
its --help).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from src.after_training.saved_policy import (
    SFT,
    SavedPolicy,
    base_of,
    base_problems,
    find_policy,
    load_policy,
    weights_of,
)
from src.after_training.side_by_side import Saying, side_by_side
from src.build import build_sampler, build_sft_cache, quiet_libraries
from src.cli.arguments import number, own_arguments, refuse_flags, whole_number
from src.cli.compose import compose_one
from src.cli.hints import nearest
from src.cli.read_config import read_config
from src.cli.taken import Taken
from src.config import RunConfig
from src.data.splits import Splits
from src.data.tokenized import tokenize
from src.inference.sampler import Sampler
from src.inference.scorer import scorer_for
from src.models.policy import Policy, Weights
from src.models.template import Template, template_of
from src.records import Prompt, Row
from src.runtime.cpu_threads import use_processor
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable
from src.runtime.report import Report
from src.runtime.seeding import numpy_stream, torch_stream
from src.storage.files import local_path, write_text

OWN = ("policy", "base", "prompt", "split", "n", "k", "temperature", "json")
KEYS = ("task", "data", "source", "model", "evaluate.temperature", "seed", "device", "cache", "ensemble")
# What a given prompt is answered without, unless the SFT policy answers, which is made from the data.
ROWS = ("data", "source")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Question:
    """What is to be asked of whom.

    Attributes:
        policies: name -> the policy and its base model; None for the SFT policy.
        prompt: given in the command; None for prompts of the split.
        split, n: how many prompts of which split.
        k: responses to each.
        temperature: 0 is greedy.
        json: file to be written.
    """

    config: RunConfig
    policies: Mapping[str, tuple[SavedPolicy, str] | None]
    prompt: str | None
    split: str
    n: int
    k: int
    temperature: float
    json: Path | None


def listed(text: str) -> list[str]:
    """The policies of a list. A run's folder may have commas in its name: what exists as a folder is one policy."""
    found, parts = [], text.split(",")
    while parts:
        ends = range(len(parts), 0, -1)
        end = next((end for end in ends if local_path(",".join(parts[:end])).is_dir()), 1)
        found.append(",".join(parts[:end]).strip())
        parts = parts[end:]
    return found


def read_question(arguments: Sequence[str]) -> Question:
    """Reads a command.

    Raises:
        ConfigError: with everything that is wrong with it; no model was loaded then.
    """
    own, others, problems = own_arguments(arguments, OWN)
    if "policy" not in own:
        problems.append("expected policy=PATH[,PATH,..], runs or other saved policies; sft is the SFT policy")
    found: dict[str, SavedPolicy | None] = {}
    for text in listed(own["policy"]) if "policy" in own else []:
        saved, wrong = (None, []) if text == SFT else find_policy(text)
        name = saved.name if saved and saved.name not in found else text
        twice = name in found or (saved and saved.folder in [one.folder for one in found.values() if one])
        problems += [*wrong, *([f"policy={text}: given twice"] if twice else [])]
        found[name] = saved
    if "prompt" in own and "split" in own:
        problems.append(f"split={own['split']}: there is a prompt already; give one of both")
    if "prompt" in own and "n" in own:
        problems.append(f"n={own['n']}: there is one prompt, the given one; leave n out")
    if own.get("split", "validation") not in SPLITS:
        problems.append(f"split={own['split']}: no such split; {nearest(own['split'], SPLITS)}")
    n, wrong_n = whole_number(own, "n", 5)
    k, wrong_k = whole_number(own, "k", 1)
    temperature, wrong_temperature = number(own, "temperature")
    problems += [*wrong_n, *wrong_k, *wrong_temperature]
    if "json" in own and local_path(own["json"]).is_dir():
        problems.append(f"json={own['json']}: that is a folder; expected a file, or a name for one")
    there = [saved for saved in found.values() if saved]
    run = next((saved for saved in there if saved.run), None)
    problems += base_problems(own.get("base"), there) if there or SFT in found else []
    reads_rows = "prompt" not in own or None in found.values()
    checked = KEYS if reads_rows else tuple(key for key in KEYS if key not in ROWS)
    job = compose_one(
        others,
        Taken(
            keys=KEYS if run else (*KEYS, "experiment"),
            checked=checked,
            own=OWN,
            saved=run.settings(own.get("base")) if run else None,
            saved_data=run.facts().get("data", "embedded") if run else "embedded",
        ),
    )
    about = f"with the configuration of {run.run}: " if run else ""
    problems += [about + line for line in job.problems]
    config, _ = read_config(job.plain, checked) if job.plain else (None, [])
    typed = any(one.lstrip("+").startswith(("model=", "model.path=")) for one in others)
    policies: dict[str, tuple[SavedPolicy, str] | None] = {}
    for name, saved in found.items():
        policies[name] = None
        if saved and config:
            # A run's own model.path says nothing of the others' bases.
            configured = config.model.path if typed or run in (None, saved) else None
            base, wrong = base_of(saved, own.get("base") if saved.has_base else None, configured)
            policies[name] = saved, base
            problems += wrong
    if problems or config is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Question(
        config=config,
        policies=policies,
        prompt=own["prompt"].strip() if "prompt" in own else None,
        split=own.get("split", "validation"),
        n=n,
        k=k,
        temperature=config.evaluate.temperature if temperature is None else temperature,
        json=local_path(own["json"]) if "json" in own else None,
    )


def ask(question: Question, report: Report) -> list[Saying]:
    """Asks every policy the same prompts with the same luck: one model, weights put in place one after the other.

    Raises:
        ConfigError: if the split is not there.
        RunError: if a policy cannot be loaded, or is of another base model than the first.
    """
    config, split = question.config, question.split
    splits: Splits | None = None
    if question.prompt is None or None in question.policies.values():
        splits = config.data.load(config.task.name)
    if question.prompt is not None:
        rows = [Row(question.prompt, "")]
    else:
        assert splits is not None
        if split not in splits.named():
            raise ConfigError([f"split={split}: the data has none; there are {', '.join(splits.named())}"])
        rows = splits.named()[split]
    policy, sft = _loaded(question, splits, report)
    template = template_of(policy, config.model.template)
    name = "prompt" if question.prompt else split
    prompts = tokenize(rows, template, config.task.max_prompt_tokens, name)
    if question.n < len(prompts):
        drawn = numpy_stream(config.seed, "sample", split).choice(len(prompts), question.n, replace=False)
        prompts = [prompts[index] for index in sorted(drawn)]
    scorer = scorer_for(policy.model, config.model.tokens, report.warn)
    sampler = build_sampler(config, scorer, question.temperature)
    said: dict[str, list[list[str]]] = {}
    for name, saved in question.policies.items():
        weights = sft if saved is None else weights_of(*saved, policy)
        with report.stage(f"{name} answers {len(prompts)} prompts", len(prompts)) as tick:
            said[name] = _responses(question, policy, sampler, template, weights, prompts, tick)
    return [
        Saying(prompt.row.prompt, prompt.row.label or None, {name: texts[place] for name, texts in said.items()})
        for place, prompt in enumerate(prompts)
    ]


def _loaded(question: Question, splits: Splits | None, report: Report) -> tuple[Policy, Weights]:
    """The model that all weights are put into, and the SFT policy's weights, if they are asked for."""
    config = question.config
    if None in question.policies.values():
        assert splits is not None
        policy = build_sft_cache(config, splits, report).policy(config.ensemble)
        return policy, policy.mean()
    saved = [one for one in question.policies.values() if one]
    # Adapters need the layers that a whole model's weights can do without.
    first = next((one for one in saved if one[0].is_adapter), saved[0])
    return load_policy(*first, config.model.dtype, choose_device(config.device)), {}


def _responses(
    question: Question,
    policy: Policy,
    sampler: Sampler,
    template: Template,
    weights: Weights,
    prompts: list[Prompt],
    tick: Any,
) -> list[list[str]]:
    """k texts to each prompt; the random stream is the same for every policy."""
    generator = torch_stream(question.config.seed, "sample", device=policy.device)
    with policy.using(weights) as model:
        ids = [prompt.ids for prompt in prompts]
        drawn = sampler.sample(model, ids, question.k, template.end_ids, generator, tick)
    return [[template.text(one) for one in group] for group in drawn]


def sample(question: Question, console: Console | None = None) -> list[Saying]:
    """Asks, writes what was asked for, and prints a table; returns what was said."""
    quiet_libraries()
    use_processor()
    report = Report(console)
    with report.live():
        sayings = ask(question, report)
    if question.json:
        whole = {"temperature": question.temperature, "sayings": [vars(saying) for saying in sayings]}
        write_text(question.json, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    title = "the given prompt" if question.prompt else f"{len(sayings)} prompts of {question.split}"
    how = "greedy" if question.temperature == 0 else f"temperature {question.temperature:g}"
    report.console.print(side_by_side(sayings, f"{title}, {how}", report.console.width))
    if question.k > 1 and question.temperature == 0:
        report.say("Greedy responses are all the same; temperature=1 draws different ones.")
    if question.json:
        report.say(f"Written: {question.json}")
    return sayings


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, str(__doc__))
        sample(read_question(arguments))
    except (ConfigError, RunError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")


if __name__ == "__main__":
    main()
