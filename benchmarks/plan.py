"""What a run would take on a machine that is not here: time by stage, memory, GPU hours; from sizes, nothing is run.

    python -m benchmarks.plan experiment=paper_tldr gpus=8 json=FILE
    python -m benchmarks.plan experiment=paper_tldr F=1,2,4,16,T
    python -m benchmarks.plan architecture=llama3_8b machine=a100 paper=true
    python -m benchmarks.plan product_rate=1.8e11 memory_bandwidth=2.9e10 check=round.json,step.json

F=1,2,T      how the time divides as rounds grow more
paper=true   the paper's main table (3 tasks x 3 losses x 3 methods x 3 seeds), with its settings for each task
check=FILES  of benchmarks.step, .memory, .round, .sampling, .growth: of every stage the first measurement sets the
             share that is reached, the others are predicted

It takes the keys of src.train (see its --help) and plans exactly that run. Own keys, with their values: conf/plan.yaml.
What the figures mean and leave out: docs/scaling.md.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.architecture import architecture_of
from benchmarks.costs import Job, Run, Sizes, as_row, job_on, memory, sft, stages, total
from benchmarks.hardware import PRESETS, hardware_of
from src.build import quiet_libraries
from src.cli.arguments import own_arguments, refuse_flags
from src.cli.compose import compose_one
from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.cli.taken import Taken
from src.config import RunConfig
from src.learning.schedule import resolve_rounds
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError, require
from src.runtime.report import Report
from src.storage.files import local_path, write_text

OWN = ("json", "F", "paper", "check")
# Weights that every token passes, from the models' cards: DeBERTa-v3-large without embeddings, and MiniLM-L6.
ORACLES = {"reward_model": 304e6, "embedding": 10.6e6}
# The paper's tasks with the mean tokens of their published test prompts; labels and responses are not longer than 128.
PAPER = {"tldr": 330, "helpfulness": 17, "harmlessness": 83}
METHODS = {
    "offline": ("F=1", "reference=behavior"),
    "on-policy": ("F=T", "reference=sft"),
    "BPO, F=2": ("F=2", "reference=behavior"),
}
LOSSES, SEEDS = 3, 3


@dataclass(frozen=True)
class PlanKeys:
    """The keys of conf/plan.yaml that are not train.yaml's; explained there."""

    machine: str
    gpus: int
    architecture: str | None
    prompt_tokens: int | None
    response_tokens: int | None
    oracle_parameters: float | None
    judge_parameters: float | None
    product_rate: float | None
    float32_rate: float | None
    memory_bandwidth: float | None
    link_bandwidth: float | None
    disk_bandwidth: float | None
    memory_gib: float | None
    layer_seconds: float | None
    share_learn: float | None
    share_score: float | None
    share_read: float | None

    def __post_init__(self) -> None:
        machines = (*PRESETS, "here")
        counts, shares = ("gpus", "prompt_tokens", "response_tokens"), ("share_learn", "share_score", "share_read")
        rates = ("product_rate", "float32_rate", "memory_bandwidth", "link_bandwidth", "disk_bandwidth", "memory_gib")
        least = ("layer_seconds", "oracle_parameters", "judge_parameters")
        given = {name: value for name, value in vars(self).items() if value is not None}
        require(
            (self.machine in machines, f"machine={self.machine}: expected one of {', '.join(machines)}"),
            *((given.get(n, 1) >= 1, f"{n}={given.get(n)}: expected at least 1") for n in counts),
            *((given.get(n, 1) > 0, f"{n}={given.get(n)}: expected a number above 0") for n in rates),
            *((given.get(n, 0) >= 0, f"{n}={given.get(n)}: expected 0 or more") for n in least),
            *((0 < given.get(n, 1) <= 1, f"{n}={given.get(n)}: expected 0 < {n} <= 1") for n in shares),
        )


MACHINE = PlanKeys.__dataclass_fields__.keys() & PRESETS["h100"].__dataclass_fields__.keys()


@dataclass(frozen=True)
class Plan:
    """A command as checked: what is planned, for every F that is asked about."""

    config: RunConfig
    keys: PlanKeys
    rounds: tuple[int, ...]
    plain: dict[str, Any]


@dataclass(frozen=True)
class Command:
    """One plan, or those of the paper's table by (task, method)."""

    plans: dict[tuple[str, str], Plan]
    json: Path | None
    check: tuple[Path, ...]


def read_plan(arguments: Sequence[str]) -> Command:
    """Reads a command.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    own, others, problems = own_arguments(arguments, OWN)
    if own.get("paper", "false") not in ("true", "false"):
        problems.append(f"paper={own['paper']}: expected true or false")
    paper = own.get("paper") == "true"
    if paper:
        settled = ("F", "reference", "experiment", "task", "T", "batch_size")
        given = [one for one in arguments if one.partition("=")[0] in settled]
        problems += [f"{one}: paper=true says it for every run of its table; leave it out" for one in given]
    for key in ("paper", "F") if "check" in own else ():
        problems += [f"{key}={own[key]}: check= predicts what was measured; leave it out"] if key in own else []
    place = local_path(own["json"]) if "json" in own else None
    if place is not None and place.is_dir():
        problems.append(f"json={place}: that is a folder; expected a file, or a name for one")
    check = tuple(local_path(one) for one in own.get("check", "").split(",") if one)
    problems += [f"check={one}: no such file" for one in check if not one.is_file()]
    wanted: dict[tuple[str, str], list[str]] = {("", ""): []}
    if paper:
        wanted = {
            (task, method): [f"experiment=paper_{task}", *keys] for task in PAPER for method, keys in METHODS.items()
        }
    plans = {}
    for name, more in wanted.items() if not problems else ():
        plan, found = _plan([*others, *more], own.get("F"), PAPER.get(name[0]))
        problems += found
        if plan is not None:
            plans[name] = plan
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Command(plans, place, check)


def _plan(arguments: list[str], F: str | None, prompt: int | None) -> tuple[Plan | None, list[str]]:
    """One composed configuration; and what is wrong with it."""
    job = compose_one(arguments, Taken("plan", own=OWN, problems_in=lambda plain: _read(plain)[2]))
    problems = list(job.problems)
    config, keys, _ = _read(job.plain) if job.plain else (None, None, [])
    if problems or config is None or keys is None:
        return None, problems
    rounds = []
    for one in F.split(",") if F else [config.F]:
        try:
            rounds.append(resolve_rounds(int(one) if str(one).strip().isdigit() else str(one).strip(), config.T))
        except ValueError as error:
            problems.append(str(error))
    plain = {
        key: value for key, value in job.plain.items() if value is not None or key in PlanKeys.__dataclass_fields__
    }
    if prompt is not None and keys.prompt_tokens is None:
        plain["prompt_tokens"] = prompt
        keys = PlanKeys(**{**vars(keys), "prompt_tokens": prompt})
    plan = Plan(config, keys, tuple(rounds), plain)
    try:
        run_of(plan, 1)
        architecture_of(config.model, keys.architecture)
    except ValueError as error:
        problems += str(error).splitlines()
    return plan, problems


def _read(plain: dict[str, Any]) -> tuple[RunConfig | None, PlanKeys | None, list[str]]:
    """Both parts of a composed configuration, and everything wrong with it."""
    names = PlanKeys.__dataclass_fields__
    config, problems = read_config({key: value for key, value in plain.items() if key not in names})
    parts, found = read_fields(PlanKeys, {key: value for key, value in plain.items() if key in names})
    keys = None
    if not found:
        try:
            keys = PlanKeys(**parts)
        except ValueError as error:
            found = str(error).splitlines()
    return config, keys, problems + found


def run_of(plan: Plan, rounds: int) -> Run:
    """What the plan depends on.

    Raises:
        ValueError: if the configuration leaves open how much there is to do.
    """
    config, keys = plan.config, plan.keys
    test = config.evaluate.prompts or getattr(config.data, "test", None)
    validation = config.evaluate.validation_prompts or getattr(config.data, "validation", None)
    longest = keys.response_tokens or config.task.max_new_tokens
    require(
        (test is not None, "evaluate.prompts=null: how many there are is in the data, not in the plan; give a number"),
        (
            validation is not None or not config.evaluate.every,
            "evaluate.validation_prompts=null: how many there are is in the data, not in the plan; give a number",
        ),
        (
            longest <= config.task.max_new_tokens,
            f"response_tokens={longest}: task.max_new_tokens={config.task.max_new_tokens} allows no more",
        ),
        (
            not config.allocation.samples,
            "allocation: only uniform with depth=1 is planned; the others sample and score more than they annotate",
        ),
    )
    return Run(
        T=config.T,
        F=rounds,
        batch_size=config.batch_size,
        reference=type(config.reference).__name__.lower(),
        from_sampling=config.reference.from_sampling,
        samples=not config.collect.from_data,
        evaluate_every=config.evaluate.every,
        validation=validation or 0,
        test=test or 0,
        checkpoint_every=config.checkpoint_every,
        oracle=_parameters(keys.oracle_parameters, config.oracle.name),
        judge=_parameters(keys.judge_parameters, config.judge.name),
        sft_steps=config.model.sft.steps,
        sft_batch=config.model.sft.batch_size,
        sizes=Sizes(keys.prompt_tokens or config.task.max_prompt_tokens, longest, config.task.max_new_tokens),
    )


def _parameters(given: float | None, name: str) -> float:
    return given if given is not None else ORACLES.get(name.partition(":")[0], 0)


def job_of(plan: Plan) -> Job:
    """The model on the machine; measures what of `here` is not given."""
    config, keys = plan.config, plan.keys
    given = {name: value for name in MACHINE if (value := getattr(keys, name)) is not None}
    hardware = hardware_of(keys.machine, choose_device(config.device), given)
    return job_on(config, keys.architecture, hardware, keys.gpus)


def planned(job: Job, run: Run) -> dict[str, Any]:
    """Everything about one run, as it stands in the result."""
    found = stages(job, run)
    whole = total(found.values())
    held = memory(job, run)
    first = max(found, key=lambda name: found[name].seconds)
    return {
        "F": run.F,
        "stages": {name: as_row(cost) for name, cost in found.items()},
        "total": as_row(whole),
        "hours": whole.seconds / 3600,
        "gpu_hours": job.gpus * whole.seconds / 3600,
        "bottleneck": f"{first}, bound by {found[first].bound}",
        "idle_gpus": job.gpus - len(job.split(run.T // run.F * run.batch_size)),
        "sft": as_row(sft(job, run)),
        "memory": held,
        "fits": max(sum(parts.values()) for parts in held.values()) <= job.hardware.memory_gib * 2**30,
    }


def show_run(row: dict[str, Any], job: Job, report: Report) -> None:
    """One run as tables."""
    table = Table("stage", "tokens", "FLOPs", "bytes", "seconds", "share", "bound by", title=f"F={row['F']}")
    for name, cost in [*row["stages"].items(), ("total", row["total"])]:
        share = cost["seconds"] / row["total"]["seconds"]
        amounts = (f"{cost[key]:.2e}" for key in ("tokens", "flops", "bytes"))
        table.add_row(name, *amounts, f"{cost['seconds']:,.1f}", f"{share:.1%}", cost["bound"])
    report.console.print(table)
    held = Table("GiB of a GPU", *row["memory"])
    parts = dict.fromkeys(part for moment in row["memory"].values() for part in moment)
    sums = {moment: sum(amounts.values()) for moment, amounts in row["memory"].items()}
    for part in parts:
        held.add_row(part, *(f"{moment.get(part, 0) / 2**30:.2f}" for moment in row["memory"].values()))
    held.add_row("in all", *(f"{amount / 2**30:.2f}" for amount in sums.values()))
    report.console.print(held)
    report.say(f"{row['hours']:.3g} hours, {row['gpu_hours']:.3g} GPU hours; most of it: {row['bottleneck']}")
    report.say(f"before it, once a task: the SFT policy, {row['sft']['seconds'] / 3600:.3g} hours on one GPU")
    if row["idle_gpus"] > 0:
        report.say(f"a round has work for {job.gpus - row['idle_gpus']} of {job.gpus} GPUs")
    if not row["fits"]:
        report.warn(f"that is more than the {job.hardware.memory_gib:.0f} GiB of the machine")


def show_rounds(rows: list[dict[str, Any]], report: Report) -> None:
    """How the time divides as F grows."""
    names = list(rows[0]["stages"])
    table = Table("F", *(f"{name} %" for name in names), "hours", "most of it")
    for row in rows:
        shares = (f"{100 * row['stages'][name]['seconds'] / row['total']['seconds']:.1f}" for name in names)
        table.add_row(str(row["F"]), *shares, f"{row['hours']:.3g}", row["bottleneck"])
    report.console.print(table)


def paper_table(rows: dict[tuple[str, str], dict[str, Any]], gpus: int) -> dict[str, Any]:
    """GPU hours of every cell (its losses and seeds together), of the SFT policies, and of all."""
    cells = {task: {m: LOSSES * SEEDS * rows[task, m]["gpu_hours"] for m in METHODS} for task in PAPER}
    policies = {task: rows[task, "offline"]["sft"]["seconds"] / 3600 for task in PAPER}
    runs = math.fsum(hours for methods in cells.values() for hours in methods.values())
    return {
        "gpus": gpus,
        "gpu_hours": {task: methods | {"SFT": policies[task]} for task, methods in cells.items()},
        "gpu_hours_runs": runs,
        "gpu_hours_total": runs + sum(policies.values()),
        "runs": len(rows) * LOSSES * SEEDS,
        "fits": all(row["fits"] for row in rows.values()),
        "memory_gib": max(sum(parts.values()) for row in rows.values() for parts in row["memory"].values()) / 2**30,
        "plans": [{"task": task, "method": method, **row} for (task, method), row in rows.items()],
    }


def show_paper(found: dict[str, Any], report: Report) -> None:
    """The paper's table as one."""
    table = Table("GPU hours", *METHODS, "SFT, once", title=f"{found['runs']} runs, {found['gpus']} GPUs each")
    for task, hours in found["gpu_hours"].items():
        table.add_row(task, *(f"{value:.3g}" for value in hours.values()))
    report.console.print(table)
    report.say(
        f"{found['gpu_hours_runs']:.4g} GPU hours, {found['gpu_hours_total']:.4g} with the SFT policies; "
        f"{found['memory_gib']:.1f} GiB of a GPU at most"
    )
    if not found["fits"]:
        report.warn("that is more than the machine has")


def measure(command: Command) -> dict[str, Any]:
    """Plans, prints and writes; what is written."""
    report = Report()
    first = next(iter(command.plans.values()))
    job = job_of(first)
    figures: dict[str, Any]
    with report.live():
        if command.check:
            from benchmarks.predictions import checked, show_checked  # reads token ids, which plans do without

            figures = checked(command.check, job)
            show_checked(figures, report)
        elif len(command.plans) > 1:
            rows = {name: planned(job_of(plan), run_of(plan, plan.rounds[0])) for name, plan in command.plans.items()}
            figures = paper_table(rows, job.gpus)
            show_paper(figures, report)
        else:
            plans = [planned(job, run_of(first, F)) for F in first.rounds]
            figures = {"plans": plans}
            if len(plans) == 1:
                show_run(plans[0], job, report)
            else:
                show_rounds(plans, report)
        row = {
            "benchmark": "plan",
            **figures,
            "architecture": asdict(job.architecture),
            "hardware": asdict(job.hardware),
            "config": first.plain,
        }
        if command.json is not None:
            write_text(command.json, json.dumps(row, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
            report.say(f"Written: {command.json}")
    return row


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, str(__doc__))
        quiet_libraries()
        measure(read_plan(arguments))
    except (ConfigError, RunError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
