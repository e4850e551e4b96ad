"""The plan of one run: from a configuration to its cost, and the cost as a result and as tables."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from benchmarks.planning.cost import total
from benchmarks.planning.hardware import PRESETS, hardware_of
from benchmarks.planning.job import Job, Sizes, job_on
from benchmarks.planning.memory import memory
from benchmarks.planning.stages import Run, sft, stages
from src.config import RunConfig
from src.runtime.device import choose_device
from src.runtime.errors import require
from src.runtime.report import Report

# Weights that every token passes, from the models' cards: DeBERTa-v3-large without embeddings, and MiniLM-L6.
ORACLES = {"reward_model": 304e6, "embedding": 10.6e6}


@dataclass(frozen=True)
class PlanKeys:
    """The keys of conf/plan.yaml that conf/train.yaml does not have; conf/plan.yaml explains them."""

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
        amounts = ("layer_seconds", "oracle_parameters", "judge_parameters")
        given = {name: value for name, value in vars(self).items() if value is not None}
        require(
            (self.machine in machines, f"machine={self.machine}: expected one of {', '.join(machines)}"),
            *((given.get(n, 1) >= 1, f"{n}={given.get(n)}: expected at least 1") for n in counts),
            *((given.get(n, 1) > 0, f"{n}={given.get(n)}: expected a number above 0") for n in rates),
            *((given.get(n, 0) >= 0, f"{n}={given.get(n)}: expected 0 or more") for n in amounts),
            *((0 < given.get(n, 1) <= 1, f"{n}={given.get(n)}: expected 0 < {n} <= 1") for n in shares),
        )


# Keys that replace a number of the machine.
MACHINE = PlanKeys.__dataclass_fields__.keys() & PRESETS["h100"].__dataclass_fields__.keys()


@dataclass(frozen=True)
class Plan:
    """A configuration to plan, and the values of F to plan it for."""

    config: RunConfig
    keys: PlanKeys
    rounds: tuple[int, ...]
    plain: dict[str, Any]


def run_of(plan: Plan, rounds: int) -> Run:
    """The run to plan, with F=`rounds`.

    Raises:
        ValueError: if the configuration does not say how much work there is.
    """
    config, keys = plan.config, plan.keys
    test = config.evaluate.prompts or getattr(config.data, "test", None)
    validation = config.evaluate.validation_prompts or getattr(config.data, "validation", None)
    response = keys.response_tokens or config.task.max_new_tokens
    require(
        (test is not None, "evaluate.prompts=null: a plan does not read the data; give the number of prompts"),
        (
            validation is not None or not config.evaluate.every,
            "evaluate.validation_prompts=null: a plan does not read the data; give the number of prompts",
        ),
        (
            response <= config.task.max_new_tokens,
            f"response_tokens={response}: task.max_new_tokens={config.task.max_new_tokens} allows no more",
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
        sizes=Sizes(keys.prompt_tokens or config.task.max_prompt_tokens, response, config.task.max_new_tokens),
    )


def _parameters(given: float | None, name: str) -> float:
    return given if given is not None else ORACLES.get(name.partition(":")[0], 0)


def job_of(plan: Plan) -> Job:
    """The model on the machine; with machine=here, rates and bandwidth that are not given are measured now."""
    config, keys = plan.config, plan.keys
    given = {name: value for name in MACHINE if (value := getattr(keys, name)) is not None}
    hardware = hardware_of(keys.machine, choose_device(config.device), given)
    return job_on(config, keys.architecture, hardware, keys.gpus)


def planned(job: Job, run: Run) -> dict[str, Any]:
    """The plan of one run as it is written in the result."""
    costs = stages(job, run)
    whole = total(costs.values())
    held = memory(job, run)
    longest = max(costs, key=lambda name: costs[name].seconds)
    return {
        "F": run.F,
        "stages": {name: cost.as_row() for name, cost in costs.items()},
        "total": whole.as_row(),
        "hours": whole.seconds / 3600,
        "gpu_hours": job.gpus * whole.seconds / 3600,
        "bottleneck": f"{longest}, bound by {costs[longest].bound}",
        "idle_gpus": job.gpus - len(job.split(run.T // run.F * run.batch_size)),
        "sft": sft(job, run).as_row(),
        "memory": held,
        "fits": max(sum(parts.values()) for parts in held.values()) <= job.hardware.memory_gib * 2**30,
    }


def show_run(row: dict[str, Any], job: Job, report: Report) -> None:
    """Prints the plan of one run: stages, memory, hours."""
    table = Table("stage", "tokens", "FLOPs", "bytes", "seconds", "share", "bound by", title=f"F={row['F']}")
    for name, cost in [*row["stages"].items(), ("total", row["total"])]:
        share = cost["seconds"] / row["total"]["seconds"]
        amounts = (f"{cost[key]:.2e}" for key in ("tokens", "flops", "bytes"))
        table.add_row(name, *amounts, f"{cost['seconds']:,.1f}", f"{share:.1%}", cost["bound"])
    report.console.print(table)
    held = Table("GiB of a GPU", *row["memory"])
    parts = dict.fromkeys(part for moment in row["memory"].values() for part in moment)
    for part in parts:
        held.add_row(part, *(f"{moment.get(part, 0) / 2**30:.2f}" for moment in row["memory"].values()))
    held.add_row("in all", *(f"{sum(moment.values()) / 2**30:.2f}" for moment in row["memory"].values()))
    report.console.print(held)
    report.say(f"{row['hours']:.3g} hours, {row['gpu_hours']:.3g} GPU hours; longest stage: {row['bottleneck']}")
    report.say(f"the SFT policy, trained before, once a task: {row['sft']['seconds'] / 3600:.3g} hours on one GPU")
    if row["idle_gpus"] > 0:
        report.say(f"a round has work for {job.gpus - row['idle_gpus']} of {job.gpus} GPUs")
    if not row["fits"]:
        report.warn(f"the run needs more than the machine's {job.hardware.memory_gib:.0f} GiB")


def show_rounds(rows: list[dict[str, Any]], report: Report) -> None:
    """Prints how the stages share the time as F grows."""
    names = list(rows[0]["stages"])
    table = Table("F", *(f"{name} %" for name in names), "hours", "longest stage")
    for row in rows:
        shares = (f"{100 * row['stages'][name]['seconds'] / row['total']['seconds']:.1f}" for name in names)
        table.add_row(str(row["F"]), *shares, f"{row['hours']:.3g}", row["bottleneck"])
    report.console.print(table)
