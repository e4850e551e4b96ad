"""A run's configuration read from a composed one, with the checks of values against each other."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.allocation.base import uniform_instead
from src.cli.read_fields import read_fields
from src.config import RunConfig
from src.data.embedded import EmbeddedData
from src.learning.schedule import resolve_rounds, round_sizes
from src.oracles.gold import GoldOracle
from src.oracles.proxy import ProxyOracle
from src.references.ema import Ema
from src.references.gold import Gold
from src.runtime.device import device_problems


def read_config(node: Mapping[str, Any], used: Sequence[str] | None = None) -> tuple[RunConfig | None, list[str]]:
    """Builds the parts of a configuration that are cheap to build: all but models and data.

    Args:
        node: the composed configuration, as plain dicts and values.
        used: the top-level keys that matter to the command; the others are not checked against each other. All by
            default.

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
    """What is wrong between values that are fine by themselves. A None part was reported before."""
    problems: list[str] = []
    numbers = {n: parts[n] for n in ("T", "batch_size", "ensemble", "checkpoint_every") if parts.get(n) is not None}
    problems += [f"{name}={number}: expected at least 1" for name, number in numbers.items() if number < 1]
    if parts.get("T", 0) and parts["T"] >= 1 and parts.get("F") is not None:
        problems += _caught(lambda: resolve_rounds(parts["F"], parts["T"]))
    if parts.get("learning_rate") is not None and not parts["learning_rate"] > 0:
        problems.append(f"learning_rate={parts['learning_rate']}: expected a number above 0")
    if parts.get("seed") is not None and parts["seed"] < 0:
        problems.append(f"seed={parts['seed']}: expected 0 or more")
    if parts.get("device") is not None:
        problems += device_problems(parts["device"])
    if parts.get("cache") is not None and Path(parts["cache"]).is_file():
        problems.append(f"cache={parts['cache']}: that is a file; expected a folder, or a name for one")
    model, data, task = parts.get("model"), parts.get("data"), parts.get("task")
    if model is not None and model.lora is None and (parts.get("ensemble") or 1) > 1:
        problems.append(
            f"ensemble={parts['ensemble']} needs LoRA members, and model.lora is null; "
            f"use model=tiny_lora or another model with adapters"
        )
    for group in ("collect", "sampler"):
        if parts.get(group) is not None:
            problems += parts[group].conflicts(parts)
    loss, reference = parts.get("loss"), parts.get("reference")
    if loss is not None and not loss.has_reference and isinstance(reference, Gold | Ema):
        problems.append(
            f"loss={_chosen(parts, 'loss')} has no reference policy, and reference={_chosen(parts, 'reference')} would "
            "change nothing; expected reference=behavior or reference=sft"
        )
    # An oracle that is not asked is not checked.
    given = parts.get("collect") is not None and parts["collect"].from_data
    oracles = ("judge",) if given else ("oracle", "judge")
    for group in ("reference", *oracles, "allocation", "sampler"):
        if parts.get(group) is not None:
            problems += [f"{group}: {line}" for line in parts[group].problems()]
    problems += _uniform_instead(parts)
    if parts.get("judge") is not None and parts["judge"].temperature:
        problems.append(f"judge.temperature={parts['judge'].temperature}: a judge compares exactly; expected 0")
    if parts.get("judge") is not None and parts["judge"].flip:
        problems.append(f"judge.flip={parts['judge'].flip}: a judge makes no errors on purpose; expected 0")
    if data is not None and task is not None:
        problems += data.problems(task.name)
        for group in oracles:
            if parts.get(group) is not None and isinstance(parts[group], GoldOracle) and not data.has_gold_score:
                problems.append(f"{group}=gold: only the embedded data has a gold score; use {group}=embedding")
        oracle = None if given else parts.get("oracle")
        if isinstance(oracle, ProxyOracle) and isinstance(oracle.annotator, GoldOracle) and not data.has_gold_score:
            problems.append(
                "oracle=proxy: the gold score labels the proxy's pairs, and only the embedded data has one; "
                "use data=embedded"
            )
    return problems


def _chosen(parts: dict[str, Any], group: str) -> str:
    """The option of a group, by its name."""
    return str((parts.get("choices") or {}).get(group, "?"))


def _uniform_instead(parts: dict[str, Any]) -> list[str]:
    """The problem, in a list, if every round would be too small for the allocation and made uniformly instead."""
    T, F, batch_size = (parts.get(name) for name in ("T", "F", "batch_size"))
    if parts.get("allocation") is None or not T or not batch_size or F is None or _caught(lambda: resolve_rounds(F, T)):
        return []
    budget = max(round_sizes(T, resolve_rounds(F, T)), default=0) * batch_size
    # How many prompts the data have is not known before they are read, but for the generated ones.
    prompts = parts["data"].train if isinstance(parts.get("data"), EmbeddedData) else budget
    reason = parts["allocation"].too_small(budget, prompts)
    return [f"allocation: {uniform_instead(reason)}"] if reason else []


def _caught(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except ValueError as error:
        return str(error).splitlines()
    return []
