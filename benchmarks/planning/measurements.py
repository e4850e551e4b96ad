"""Measurements in the result files of other benchmarks, each with the prediction of the same work."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.arguments import RUN, Bench, BenchKeys, read_parts
from benchmarks.material import material
from benchmarks.planning import passes
from benchmarks.planning.cost import Cost, total
from benchmarks.planning.hardware import Hardware
from benchmarks.planning.job import Job, Sizes, job_on
from benchmarks.planning.memory import memory
from benchmarks.planning.stages import one_round, reference_logps
from src.cli.compose import compose_one
from src.cli.taken import Taken
from src.config import RunConfig
from src.runtime.errors import RunError
from src.runtime.report import Report


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        source: the file, and the quantity varied.
        stage: a stage as `stages.stages` names it; "round" for all stages together, "memory" for bytes.
        value: seconds, or bytes.
        predict: machine -> the predicted value, from sizes.
    """

    source: str
    stage: str
    value: float
    predict: Callable[[Hardware], float]


def measured(file: Path, job: Job) -> list[Measured]:
    """The measurements in a benchmark's result file.

    Args:
        job: gives the machine; the model is the file's.

    Raises:
        RunError: if the file is not a result that can be predicted.
    """
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


def _of_growth(source: str, row: dict[str, Any], job: Job) -> Iterator[Measured]:
    """Learning steps on tokens of exact lengths, one quantity varied."""
    bench = _bench(row)
    keys, file_job = bench.keys, _file_job(bench.config, job)
    for quantity, points in row["points"].items():
        for point in points:
            amounts = {
                "pairs": keys.pairs,
                "prompt_tokens": keys.prompt_tokens,
                "response_tokens": keys.response_tokens,
                "vocabulary": file_job.architecture.vocabulary,
                "ensemble": file_job.members,
            } | {quantity: point["size"]}
            architecture = replace(file_job.architecture, vocabulary=amounts["vocabulary"])
            changed = replace(file_job, members=amounts["ensemble"], architecture=architecture)
            sizes = Sizes(amounts["prompt_tokens"], amounts["response_tokens"], amounts["response_tokens"])
            pairs, name = amounts["pairs"], f"{source}: {quantity}"
            yield Measured(name, "learning", point["seconds"], _seconds_of(changed, passes.step, pairs, sizes))
            if point["step_bytes"]:
                parts = _learning_memory(changed, pairs, sizes)
                held = parts["activations"] + parts["gradients"] + parts["logits"]
                yield Measured(name, "memory", point["step_bytes"], _always(held))


def _of_turns(source: str, row: dict[str, Any], job: Job) -> Iterator[Measured]:
    """The turns of our side, on the prompts that the same command selects again."""
    bench = _bench(row)
    config, pairs, file_job = bench.config, bench.keys.pairs, _file_job(bench.config, job)
    with material(bench, Report()) as given:
        batches, labels = given.batches[bench.keys.warmup :], given.pairs[bench.keys.warmup :]
    # Some files measure our side beside each rival; the work is the same, so all turns count.
    for side in row["sides"]:
        if side["side"] != "ours":
            continue
        for turn, prompts, batch_pairs in zip(side["turns"], batches, labels, strict=True):
            prompt = round(statistics.mean(len(prompt.ids) for prompt in prompts))
            if row["benchmark"] in ("step", "memory"):
                label = round(statistics.mean(len(ids) for pair in batch_pairs for ids in pair[1:]))
                sizes = Sizes(prompt, label, label)
                yield Measured(source, "learning", turn["seconds"], _seconds_of(file_job, passes.step, pairs, sizes))
                if row["benchmark"] == "memory":
                    parts = _learning_memory(file_job, pairs, sizes)
                    held = sum(parts.values()) - parts["policies"]
                    yield Measured(source, "memory", turn["peak_bytes"], _always(held))
            else:
                sizes = Sizes(prompt, round(turn["tokens"] / (2 * pairs)), config.task.max_new_tokens)
                yield from _of_round(source, turn, file_job, config, pairs, sizes, row["benchmark"] == "sampling")


def _of_round(
    source: str, turn: dict[str, Any], job: Job, config: RunConfig, pairs: int, sizes: Sizes, only_sampling: bool
) -> Iterator[Measured]:
    """A round of one step, by stage where its stages were timed; or sampling and the folding of adapters before it."""
    run = one_round(pairs, sizes, "behavior", config.reference.from_sampling)

    def sample(job: Job) -> Cost:
        return passes.sampling(job, pairs, 2, sizes)

    work: dict[str, tuple[str, Callable[[Job], Cost]]] = {
        "time/collect": ("sampling", sample),
        "time/reference": ("reference", lambda job: reference_logps(job, run, 1, pairs)),
        "time/learn": ("learning", lambda job: passes.step(job, pairs, sizes)),
        "time/fold": ("folding", passes.folding),
    }
    if only_sampling:
        predicted = _seconds_of(job, lambda job: sample(job) + passes.folding(job))
        yield Measured(source, "sampling", turn["seconds"], predicted)
        return
    for name, (stage, cost_of) in work.items():
        if name in turn.get("stages", {}):
            yield Measured(source, stage, turn["stages"][name], _seconds_of(job, cost_of))
    whole = _seconds_of(job, lambda job: total(cost_of(job) for _, cost_of in work.values()))
    yield Measured(source, "round", turn["seconds"], whole)


def _bench(row: dict[str, Any]) -> Bench:
    """The command that wrote a result file.

    Raises:
        RunError: if the file's keys are no longer taken.
    """
    plain = {**compose_one([], Taken("bench", problems_in=lambda _: [])).plain, **row["config"]}
    used = [key for key in (*RUN, "reference") if key in row["config"]]
    config, keys, problems = read_parts(plain, BenchKeys, used)
    if config is None or keys is None:
        raise RunError("; ".join(problems))
    return Bench(config, keys, plain, None)


def _file_job(config: RunConfig, job: Job) -> Job:
    """The file's model on the job's machine."""
    return job_on(config, None, job.hardware, gpus=1)


def _seconds_of(job: Job, work: Callable[..., Cost], *sizes: Any) -> Callable[[Hardware], float]:
    """Machine -> predicted seconds of some work, a function of the job and sizes."""
    return lambda machine: work(replace(job, hardware=machine), *sizes).seconds


def _always(value: float) -> Callable[[Hardware], float]:
    """Machine -> the same value: memory does not depend on the machine."""
    return lambda machine: value


def _learning_memory(job: Job, pairs: int, sizes: Sizes) -> dict[str, float]:
    """Bytes by part while learning from `pairs` pairs a step."""
    return memory(job, one_round(max(1, pairs), sizes))["learning"]
