"""Fit a reward model on pairs, and say how far it can be trusted on pairs of held-out prompts.

    python -m src.reward task=helpfulness
    python -m src.reward pairs=RUN_FOLDER[,RUN_FOLDER] out=DIR

Pairs are sampled from the SFT policy and annotated by the oracle, the data's own (collect=dataset), or read from runs.
What it writes is what oracle=reward_model oracle.path=DIR and judge=reward_model judge.path=DIR take. Its own keys,
with their values, are in conf/reward.yaml; task, data, model, oracle, allocation, collect, ensemble, seed, device,
cache and force are keys of `python -m src.train` (see its --help).
"""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.cli.compose import compose_jobs
from src.cli.taken import Taken
from src.runtime.errors import ConfigError, RunError

if TYPE_CHECKING:
    from src.config import RunConfig
    from src.data.splits import Splits
    from src.records import Prompt
    from src.reward_fitting.config import RewardConfig
    from src.reward_fitting.preferences import Preference
    from src.runtime.report import Report


def make(plain: dict[str, Any]) -> None:
    """Fits the reward model of a composed configuration; leaves one that is there alone, unless `force` is true.

    Raises:
        ConfigError: if the configuration cannot run.
        RunError: if it cannot go on; nothing is left then.
    """
    # Torch and transformers are loaded for the work only: a mistyped key is answered at once.
    from filelock import FileLock, Timeout

    from src.build import quiet_libraries
    from src.reward_fitting.config import read_reward_config
    from src.runtime.cpu_threads import use_processor
    from src.runtime.report import Report
    from src.storage.files import read_rows, writing
    from src.storage.run_name import config_hash

    config, own, problems = read_reward_config(plain, OF_TRAIN)
    if config is None or own is None or problems:
        raise ConfigError(problems)
    quiet_libraries()
    report = Report()
    out = Path(own.out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.parent / f".{out.name}.lock", timeout=0):
            found = read_rows(out / "reward.json")
            if found and not config.force:
                if found[0]["config_hash"] != config_hash(plain):
                    raise RunError(f"{out} holds a reward model of another configuration; force=true makes it afresh")
                report.say(f"{out} is finished; force=true makes it afresh")
                facts = found[0]
            else:
                report.say(use_processor())
                with report.live():
                    facts = _fitted(config, own, config_hash(plain), report)
    except Timeout:
        raise RunError(f"another process is making {out}; wait for it, or choose another out=DIR") from None
    show(facts, out, report)


def _fitted(config: "RunConfig", own: "RewardConfig", identity: str, report: "Report") -> dict[str, Any]:
    """Fits, saves, and reads back what was saved; returns what stands in reward.json."""
    import time
    from dataclasses import replace

    from src.build import build_sft_cache
    from src.models.pretrained_reward import load_reward_model, new_reward_model
    from src.models.reward_model import RewardModel
    from src.reward_fitting.fit import fit
    from src.reward_fitting.preferences import in_drawn_order, run_preferences, split_by_prompt
    from src.runtime.device import choose_device
    from src.runtime.seeding import stream_seed
    from src.storage.files import dump_row, new_folder, write_text

    started = time.perf_counter()
    spec, device = own.reward, choose_device(config.device)
    splits = config.data.load(config.task.name)
    base = spec.path
    if base is None:
        cache = build_sft_cache(config, splits, report)
        base = cache.base() if config.model.lora else str(cache.member(0, cache.base()))
    model, tokenizer = new_reward_model(base, device, stream_seed(config.seed, "reward", "head"))
    rewards = RewardModel(model, tokenizer, spec.input, spec.max_length, spec.batch_tokens)
    # After it is known that the model can be had and reads such inputs: collecting takes long.
    preferences, ties = run_preferences(own.runs) if own.runs else _collected(config, own, splits, report)
    train, held_out = split_by_prompt(in_drawn_order(preferences, config.seed), spec.held_out, config.seed)
    with report.stage(f"fitting: {spec.steps} steps of {spec.batch_size} pairs", spec.steps) as tick:
        loss = fit(rewards, train, spec, config.seed, lambda loss: tick(note=f"loss {loss:.3f}"))
    facts = {
        "config_hash": identity,
        "base": base,
        "input": spec.input,
        "max_length": spec.max_length,
        "runs": [str(run) for run in own.runs],
        "pairs": len(train),
        "held_out_pairs": len(held_out),
        "held_out_prompts": len({one.prompt for one in held_out}),
        "ties_left_out": ties,
        "steps": spec.steps,
        "batch_size": spec.batch_size,
        "loss": loss,
    }
    with new_folder(Path(own.out)) as partial:
        rewards.model.save_pretrained(partial)
        rewards.tokenizer.save_pretrained(partial)
        # What is judged is what others will load, in the precision in which they do.
        model, tokenizer = load_reward_model(str(partial), device)
        saved = replace(rewards, model=model, tokenizer=tokenizer)
        with report.stage(f"judging on {len(held_out)} held-out pairs", 1):
            found, rows = _judged(saved, held_out, splits)
        facts |= found | {"seconds": time.perf_counter() - started}
        write_text(partial / "held_out.jsonl", "".join(map(dump_row, rows)))
        write_text(partial / "reward.json", dump_row(facts))
    return facts


def _collected(
    config: "RunConfig", own: "RewardConfig", splits: "Splits", report: "Report"
) -> tuple[list["Preference"], int]:
    """The data's own pairs, or pairs sampled from the SFT policy and annotated; and the number of ties left out."""
    from src.build import build_collector, build_sft_cache
    from src.collection.dataset_pairs import DatasetCollector
    from src.data.tokenized import tokenize
    from src.inference.scorer import scorer_for
    from src.models.pretrained import load_tokenizer
    from src.models.template import Template, template_of
    from src.oracles.comparer import Comparer
    from src.reward_fitting.preferences import given_preferences, sample_preferences

    cache, kind, task = build_sft_cache(config, splits, report), config.model.template, config.task
    count, seed = own.reward.count, config.seed

    def prompts_of(template: Template) -> list["Prompt"]:
        return tokenize(splits.train, template, task.max_prompt_tokens, "train", max_label_tokens=task.max_label_tokens)

    if config.collect.from_data:
        # No policy says anything here; its tokenizer tells how long the texts are.
        prompts = prompts_of(Template(load_tokenizer(cache.base()), kind))
        return given_preferences(prompts, DatasetCollector(task.max_new_tokens), count, seed), 0
    config.oracle.load()
    policy = cache.policy(config.ensemble)
    template, scorer = template_of(policy, kind), scorer_for(policy.model, config.model.tokens, report.warn)
    return sample_preferences(
        policy=policy,
        prompts=prompts_of(template),
        allocation=config.allocation,
        collector=build_collector(config, template, scorer),
        oracle=Comparer(config.oracle, splits.world),
        scorer=scorer,
        count=count,
        seed=seed,
        report=report,
    )


def _judged(
    rewards: Any, held_out: list["Preference"], splits: "Splits"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures on held-out pairs for reward.json, and a row a pair for held_out.jsonl."""
    from dataclasses import asdict

    import numpy as np

    from src.reward_fitting.calibration import agreements, calibration, share
    from src.reward_fitting.preferences import gold_scorer

    prompts = [one.prompt for one in held_out for _ in range(2)]
    found = np.array(rewards.score(prompts, [text for one in held_out for text in one.texts])).reshape(-1, 2)
    margins = found[:, 0] - found[:, 1]  # (N,)
    first_chosen = np.array([one.chosen == 0 for one in held_out])
    gold_of = gold_scorer(splits)
    gold = [gold_of(one) for one in held_out]
    # Pairs whose two gold scores are equal have no right order.
    ordered = [place for place, pair in enumerate(gold) if pair is not None and pair[0] != pair[1]]
    first_better = np.array([pair[0] > pair[1] for pair in (gold[place] for place in ordered) if pair is not None])
    of_gold = share(agreements(margins[ordered], first_better))
    of_labels = share(agreements(first_chosen[ordered] * 2.0 - 1, first_better))
    accuracy = share(agreements(margins, first_chosen))
    clear = [one.clearness for one in held_out if one.clearness is not None]
    facts = {
        "accuracy": asdict(accuracy) if accuracy else None,
        "accuracy_ceiling": float(np.mean(clear)) if len(clear) == len(held_out) else None,
        "gold_agreement": asdict(of_gold) if of_gold else None,
        "gold_agreement_of_labels": asdict(of_labels) if of_labels else None,
        **calibration(margins, first_chosen),
    }
    rows = [
        {
            "prompt": one.prompt,
            "responses": [
                {
                    "text": text,
                    "reward": float(reward),
                    "score": one.scores[place] if one.scores else None,
                    "gold": both[place] if both else None,
                }
                for place, (text, reward) in enumerate(zip(one.texts, pair, strict=True))
            ],
            "chosen": one.chosen,
        }
        for one, pair, both in zip(held_out, found, gold, strict=True)
    ]
    return facts, rows


def show(facts: dict[str, Any], out: Path, report: "Report") -> None:
    """The tables at the end."""
    from rich.table import Table

    from src.runtime.report import percent

    table = Table(
        "agreement with", "of pairs", "95 % interval", "pairs", "at most",
        title=f"on {facts['held_out_pairs']} pairs of {facts['held_out_prompts']} held-out prompts",
    )  # fmt: skip
    for name, key, ceiling in (
        ("the annotator's label", "accuracy", facts["accuracy_ceiling"]),
        ("the gold score", "gold_agreement", 1.0),
        ("the gold score, had by the labels", "gold_agreement_of_labels", 1.0),
    ):
        if (one := facts[key]) is not None:
            interval = f"{one['low']:.1%} to {one['high']:.1%}"
            table.add_row(name, percent(one["value"]), interval, str(one["n"]), percent(ceiling))
    report.console.print(table)
    bins = Table("P(first is chosen)", "pairs", "predicted", "observed", title=f"calibration error {facts['ece']:.1%}")
    for one in facts["bins"]:
        shares = [f"{one[name]:.1%}" if one["n"] else "" for name in ("predicted", "observed")]
        bins.add_row(f"{one['from']:.1f} to {one['to']:.1f}", str(one["n"]), *shares)
    report.console.print(bins)
    report.say(f"Fitted on {facts['pairs']} pairs ({facts['ties_left_out']} ties left out): {out}/")
    report.say(f"Use it: {' '.join(keys_of(group, facts, out) for group in ('oracle', 'judge'))}")


def keys_of(group: str, facts: dict[str, Any], out: Path) -> str:
    """What to type for this model as the oracle or the judge: quoted for Hydra, then for a shell."""
    path = str(out)
    if not re.fullmatch(r"[\w./+:-]+", path, re.ASCII):
        path = "'" + path.replace("'", "\\'") + "'"
    values = {"path": path, "input": facts["input"], "max_length": facts["max_length"]}
    keys = [f"{group}=reward_model", *(f"{group}.{key}={value}" for key, value in values.items())]
    return " ".join(map(shlex.quote, keys))


def as_list(argument: str) -> str:
    """`pairs=A,B` as Hydra writes a list: names of run folders hold commas and equal signs, which it would not take."""
    key, _, value = argument.partition("=")
    if key != "pairs" or value[:1] in ("", "[", "'", '"') or value == "null":
        return argument
    folders, rest = [], value.split(",")
    while rest:
        # As many pieces as make a folder that is there, one if none do.
        size = next((n for n in range(len(rest), 0, -1) if Path(",".join(rest[:n])).is_dir()), 1)
        folders.append(",".join(rest[:size]))
        rest = rest[size:]
    return "pairs=[" + ",".join(f'"{folder}"' for folder in folders) + "]"


def problems_in(plain: dict[str, Any]) -> list[str]:
    """Everything wrong with a composed configuration, a line each."""
    from src.reward_fitting.config import read_reward_config

    return read_reward_config(plain, OF_TRAIN)[2]


# What samples the pairs and annotates them; nothing is learned from them here but the reward, and that in this process.
OF_TRAIN = (
    "task", "data", "source", "model", "oracle", "allocation", "collect", "ensemble", "experiment", "seed", "device",
    "cache", "force",
)  # fmt: skip
TAKEN = Taken("reward", (*OF_TRAIN, "pairs", "out", "reward"), problems_in=problems_in)


def main() -> None:
    """The command."""
    arguments = [as_list(argument) for argument in sys.argv[1:]]
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags:
        known = flags[0] in ("-h", "--help")
        sys.exit(__doc__ if known else f"error: {flags[0]}: src.reward takes key=value only; {__doc__}")
    try:
        jobs, problems = compose_jobs(arguments, TAKEN)
        if problems := problems + [line for job in jobs for line in job.problems]:
            raise ConfigError(list(dict.fromkeys(problems)))
        make(jobs[0].plain)
    except (ConfigError, RunError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
