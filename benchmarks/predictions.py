"""Predictions against what was measured: files of other benchmarks.

Of every stage the first measurement sets the share of the machine that is reached; all others are predicted with it.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import costs
from benchmarks.arguments import RUN, Bench, BenchKeys
from benchmarks.costs import Job, Sizes
from benchmarks.hardware import Hardware
from benchmarks.material import material
from src.cli.compose import compose_one
from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.cli.taken import Taken
from src.config import RunConfig
from src.runtime.errors import RunError
from src.runtime.report import Report

# Stage -> the share that its first measurement sets, in the order in which they are set.
SHARES = {"learning": "share_learn", "reference": "share_score", "sampling": "share_read"}
WITHIN = 0.25


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        stage: a name of `costs.stages`; "round" for all of them, "memory" for bytes.
        value: seconds, or bytes.
        predict: the same from sizes, on a machine.
    """

    source: str
    stage: str
    value: float
    predict: Callable[[Hardware], float]


def checked(files: Sequence[Path], job: Job) -> dict[str, Any]:
    """Every measurement in the files beside its prediction.

    Args:
        job: whose machine it was; the models are those of the files.

    Raises:
        RunError: if a file holds no measurement, or what was measured is no longer here.
    """
    found = [one for file in files for one in measured(file, job)]
    machine, used = calibrated(job.hardware, found)
    rows: list[dict[str, Any]] = []
    for (source, stage), group in _grouped([one for one in found if one not in used]).items():
        ratios = [one.predict(machine) / one.value for one in group]
        rows.append(
            {
                "source": source,
                "stage": stage,
                "count": len(group),
                "measured": statistics.median(one.value for one in group),
                "predicted": statistics.median(one.predict(machine) for one in group),
                "ratio": statistics.median(ratios),
                "ratio_spread": [min(ratios), max(ratios)],
                "ratios": ratios,
            }
        )
    every = [ratio for row in rows for ratio in row["ratios"]]
    return {
        "predictions": rows,
        "count": len(every),
        "within": sum(abs(ratio - 1) <= WITHIN for ratio in every),
        "shares": {share: getattr(machine, share) for share in SHARES.values()},
        "set_by": {one.stage: [one.source, one.value] for one in used},
        "machine": asdict(machine),
    }


def _grouped(found: Sequence[Measured]) -> dict[tuple[str, str], list[Measured]]:
    groups: dict[tuple[str, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.source, one.stage), []).append(one)
    return groups


def calibrated(machine: Hardware, found: Sequence[Measured]) -> tuple[Hardware, list[Measured]]:
    """The machine with the shares that the first measurement of each stage sets; and those measurements."""
    firsts = {stage: one for stage in SHARES for one in reversed(found) if one.stage == stage}
    for _ in range(3):  # each share moves the others a little
        for stage, one in firsts.items():
            machine = _with(machine, SHARES[stage], _share(machine, SHARES[stage], one))
    return machine, list(firsts.values())


def _with(machine: Hardware, share: str, value: float) -> Hardware:
    return Hardware(**{**vars(machine), share: value})


def _share(machine: Hardware, name: str, one: Measured) -> float:
    """The share with which a prediction is what was measured, from 0.001 to 1: a larger one takes less time."""
    low, high = 1e-3, 1.0
    for _ in range(50):
        middle = (low * high) ** 0.5
        slower = one.predict(_with(machine, name, middle)) > one.value
        low, high = (middle, high) if slower else (low, middle)
    return high


def measured(file: Path, job: Job) -> list[Measured]:
    """The measurements of a benchmark's file."""
    try:
        row = json.loads(file.read_text())
        kind = row["benchmark"]
        if kind == "growth":
            return list(_of_growth(file.stem, row, job))
        if kind in ("step", "memory", "round", "sampling"):
            return list(_of_turns(file.stem, row, job))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"check={file}: not a benchmark's file ({error!r})") from error
    raise RunError(f"check={file}: of benchmarks.{kind}; expected step, memory, round, sampling or growth")


def _job(config: RunConfig, job: Job) -> Job:
    """The file's model on the machine."""
    return costs.job_on(config, None, job.hardware, gpus=1)


def _on(job: Job, work: Callable[..., costs.Cost], *sizes: Any) -> Callable[[Hardware], float]:
    """Seconds of some work, a function of `costs` on its sizes, on any machine."""
    return lambda machine: work(replace(job, hardware=machine), *sizes).seconds


def _held(bytes: float) -> Callable[[Hardware], float]:
    """Memory is the same on every machine."""
    return lambda machine: bytes


def _bench(row: dict[str, Any]) -> Bench:
    """The command that wrote a file."""
    plain = {**compose_one([], Taken("bench", problems_in=lambda _: [])).plain, **row["config"]}
    names = BenchKeys.__dataclass_fields__
    used = [key for key in (*RUN, "reference") if key in row["config"]]
    config, problems = read_config({key: value for key, value in plain.items() if key not in names}, used)
    parts, found = read_fields(BenchKeys, {key: value for key, value in plain.items() if key in names})
    if config is None or found:
        raise RunError("; ".join([*problems, *found]))
    return Bench(config, BenchKeys(**parts), plain, None)


def _of_growth(source: str, row: dict[str, Any], job: Job) -> Iterator[Measured]:
    """Steps on tokens of exact lengths."""
    bench = _bench(row)
    own, keys = _job(bench.config, job), bench.keys
    for quantity, points in row["points"].items():
        for point in points:
            size = point["size"]
            middle = {"pairs": keys.pairs, "prompt_tokens": keys.prompt_tokens, "response_tokens": keys.response_tokens}
            middle |= {"vocabulary": own.architecture.vocabulary, "ensemble": own.members} | {quantity: size}
            architecture = replace(own.architecture, vocabulary=middle["vocabulary"])
            one = replace(own, members=middle["ensemble"], architecture=architecture)
            sizes = Sizes(middle["prompt_tokens"], middle["response_tokens"], middle["response_tokens"])
            pairs = middle["pairs"]
            seconds = _on(one, costs.step, pairs, sizes)
            yield Measured(f"{source}: {quantity}", "learning", point["seconds"], seconds)
            taken = _step_bytes(one, pairs, sizes)
            if point["step_bytes"]:
                yield Measured(f"{source}: {quantity}", "memory", point["step_bytes"], _held(taken))


def _parts(job: Job, pairs: int, sizes: Sizes) -> dict[str, float]:
    """Memory of learning from so many pairs a step."""
    run = costs.Run(1, 1, pairs, "sft", False, True, 0, 0, 0, 1, 0, 0, 0, 0, sizes)
    return costs.memory(job, run)["learning"]


def _step_bytes(job: Job, pairs: int, sizes: Sizes) -> float:
    """What comes and goes with a step."""
    parts = _parts(job, pairs, sizes)
    return parts["activations"] + parts["gradients"] + parts["logits"]


def _of_turns(source: str, row: dict[str, Any], job: Job) -> Iterator[Measured]:
    """Our side's turns, on the prompts that the same command finds again."""
    bench = _bench(row)
    own, config, pairs = _job(bench.config, job), bench.config, bench.keys.pairs
    with material(bench, Report()) as given:
        prompts, both = given.batches[bench.keys.warmup :], given.pairs[bench.keys.warmup :]
    # In some files a side is measured beside each of its rivals: the same work, so all of its turns count.
    for side in row["sides"]:
        if side["side"] != "ours":
            continue
        for turn, batch, labels in zip(side["turns"], prompts, both, strict=True):
            prompt = round(statistics.mean(len(one.ids) for one in batch))
            if row["benchmark"] in ("step", "memory"):
                label = round(statistics.mean(len(one) for pair in labels for one in pair[1:]))
                sizes = Sizes(prompt, label, label)
                seconds = _on(own, costs.step, pairs, sizes)
                yield Measured(source, "learning", turn["seconds"], seconds)
                if row["benchmark"] == "memory":
                    parts = _parts(own, max(1, pairs), sizes)
                    held = sum(parts.values()) - parts["policies"]
                    yield Measured(source, "memory", turn["peak_bytes"], _held(held))
                continue
            sizes = Sizes(prompt, round(turn["tokens"] / (2 * pairs)), config.task.max_new_tokens)
            yield from _of_round(source, turn, own, config, pairs, sizes, row["benchmark"] == "sampling")


def _of_round(
    source: str, turn: dict[str, Any], job: Job, config: RunConfig, pairs: int, sizes: Sizes, sampled: bool
) -> Iterator[Measured]:
    """A round of one step, by stage where its stages were timed; or what sampling took, adapters folded."""
    run = costs.Run(2, 2, pairs, "behavior", config.reference.from_sampling, True, 0, 0, 0, 1, 0, 0, 0, 0, sizes)

    def sample(job: Job) -> costs.Cost:
        return costs.sampling(job, pairs, 2, sizes)

    work: dict[str, tuple[str, Callable[[Job], costs.Cost]]] = {
        "time/collect": ("sampling", sample),
        "time/reference": ("reference", lambda job: costs.referring(job, run, 1, pairs)),
        "time/learn": ("learning", lambda job: costs.step(job, pairs, sizes)),
        "time/fold": ("folding", costs.folding),
    }
    if sampled:
        yield Measured(source, "sampling", turn["seconds"], _on(job, lambda job: sample(job) + costs.folding(job)))
        return
    for name, (stage, of_stage) in work.items():
        if name in turn.get("stages", {}):
            yield Measured(source, stage, turn["stages"][name], _on(job, of_stage))
    yield Measured(
        source, "round", turn["seconds"], _on(job, lambda job: costs.total(w(job) for _, w in work.values()))
    )


def show_checked(figures: dict[str, Any], report: Report) -> None:
    """Predicted beside measured."""
    table = Table("of", "stage", "times", "measured", "predicted", "ratio", "from", "to")
    for row in figures["predictions"]:
        values = (_amount(row["stage"], row[key]) for key in ("measured", "predicted"))
        ratios = (f"{value:.2f}" for value in (row["ratio"], *row["ratio_spread"]))
        table.add_row(row["source"], row["stage"], str(row["count"]), *values, *ratios)
    report.console.print(table)
    for stage, (source, value) in figures["set_by"].items():
        share = SHARES[stage]
        report.say(f"{share}: {figures['shares'][share]:.3f}, set by {value:.4g} s of {stage} in {source}")
    report.say(f"{figures['within']} of {figures['count']} measurements predicted within {WITHIN:.0%}")


def _amount(stage: str, value: float) -> str:
    return f"{value / 2**30:.2f} GiB" if stage == "memory" else f"{value:.3g} s"
