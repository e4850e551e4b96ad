"""A run's configuration read from a composed one, with the checks of values against each other."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.cli.read_fields import read_fields
from src.config import RunConfig
from src.learning.schedule import resolve_rounds
from src.models.spec import ModelSpec
from src.runtime.device import device_problems


def read_config(node: Mapping[str, Any], used: Sequence[str] | None = None) -> tuple[RunConfig | None, list[str]]:
    """Builds the parts of a configuration that are cheap to build, which is all of them but models and data.

    Args:
        node: the composed configuration, as plain dicts and values.
        used: the top-level keys that matter to the command; whether the others fit is not asked. All by default.

    Returns:
        The configuration, or None, and everything wrong with it, a line each. Data files are read, models are not.
    """
    parts, problems = read_fields(RunConfig, node)
    try:
        problems += _across({name: part for name, part in parts.items() if used is None or name in used})
    except OSError as error:  # a path that is too long for any file, say
        problems.append(f"{str(error.filename)[:80]!r}: {error.strerror}")
    return (None, problems) if problems else (RunConfig(**parts), [])


def _across(parts: dict[str, Any]) -> list[str]:
    """What is wrong with values and components that are fine by themselves. A missing part was reported before."""
    found: list[str] = []
    numbers = {n: parts[n] for n in ("T", "batch_size", "ensemble", "checkpoint_every") if parts.get(n) is not None}
    found += [f"{name}={number}: expected at least 1" for name, number in numbers.items() if number < 1]
    if parts.get("T", 0) and parts["T"] >= 1 and parts.get("F") is not None:
        found += _caught(lambda: resolve_rounds(parts["F"], parts["T"]))
    if parts.get("learning_rate") is not None and not parts["learning_rate"] > 0:
        found.append(f"learning_rate={parts['learning_rate']}: expected a number above 0")
    if parts.get("seed") is not None and parts["seed"] < 0:
        found.append(f"seed={parts['seed']}: expected 0 or more")
    if parts.get("device") is not None:
        found += device_problems(parts["device"])
    if parts.get("cache") is not None and Path(parts["cache"]).is_file():
        found.append(f"cache={parts['cache']}: that is a file; expected a folder, or a name for one")
    model, data, task = parts.get("model"), parts.get("data"), parts.get("task")
    if model is not None and model.lora is None and (parts.get("ensemble") or 1) > 1:
        found.append(
            f"ensemble={parts['ensemble']} needs LoRA members, and model.lora is null; "
            f"use model=tiny_lora or another model with adapters"
        )
    if given := parts.get("collect") is not None and parts["collect"].from_data:
        found += _dataset_problems(parts)
    if parts.get("sampler") is not None and parts["sampler"].served:
        found += _server_problems(parts, model, given)
    # An oracle that is not asked may be any.
    oracles = ("judge",) if given else ("oracle", "judge")
    for group in ("reference", *oracles, "allocation"):
        if parts.get(group) is not None:
            found += [f"{group}: {line}" for line in parts[group].problems()]
    if parts.get("judge") is not None and parts["judge"].temperature:
        found.append(f"judge.temperature={parts['judge'].temperature}: a judge compares exactly; expected 0")
    if parts.get("judge") is not None and parts["judge"].flip:
        found.append(f"judge.flip={parts['judge'].flip}: a judge makes no errors on purpose; expected 0")
    if data is not None and task is not None:
        found += data.problems(task.name)
        for group in oracles:
            if parts.get(group) is not None and parts[group].name == "gold" and not data.has_gold_score:
                found.append(f"{group}=gold: only the embedded data has a gold score; use {group}=embedding")
    return found


def _server_problems(parts: dict[str, Any], model: ModelSpec | None, given: bool) -> list[str]:
    """What keeps servers from sampling."""
    found = [f"sampler: {line}" for line in parts["sampler"].problems()]
    if model is not None and model.lora is None:
        found.append(
            "sampler=vllm hands the policy over as an adapter, and model.lora is null; use model=tiny_lora or another "
            "model with adapters, or sampler=hf"
        )
    if given:
        found.append("sampler=vllm: collect=dataset samples nothing; expected sampler=hf")
    if parts.get("reference") is not None and parts["reference"].from_sampling:
        found.append(
            "reference.from_sampling=true: sampler=vllm computes log-probs by another engine, and those of a loss are "
            "computed here; expected false"
        )
    return found


def _dataset_problems(parts: dict[str, Any]) -> list[str]:
    """What keeps the data's own pairs from being used."""
    found = []
    if parts.get("allocation") is not None and parts["allocation"].samples:
        found.append(
            "collect=dataset needs allocation=uniform with allocation.depth=1: the data have one pair a prompt, any "
            "other allocation samples more; collect=sample goes with them"
        )
    if parts.get("F") not in (1, None) and not (parts["F"] == "T" and parts.get("T") == 1):
        found.append(
            f"collect=dataset needs F=1, and F={parts['F']}: the data's pairs are there once, before the first step; "
            "collect=sample collects in rounds"
        )
    if parts.get("data") is not None and not parts["data"].has_preferences:
        found.append(
            "collect=dataset needs data with preferences: data=hub with task=helpfulness or harmlessness, or data=hub "
            "or data=files with data.chosen_column=NAME data.rejected_column=NAME"
        )
    if parts.get("reference") is not None and parts["reference"].from_sampling:
        found.append("reference.from_sampling=true: collect=dataset samples nothing; expected false")
    return found


def _caught(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except ValueError as error:
        return str(error).splitlines()
    return []
