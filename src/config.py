"""A run's configuration as checked, plain values: everything below `src.build` is made from these."""

import dataclasses
import importlib
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.allocation.base import Allocation
from src.collection.base import Collect
from src.learning.learner import OptimizerSpec
from src.learning.schedule import resolve_rounds
from src.loggers.base import Logger
from src.losses.base import Loss
from src.models.spec import ModelSpec
from src.oracles.base import Oracle
from src.references.base import Reference
from src.runtime.device import choose_device
from src.runtime.errors import require
from src.samplers.base import SamplerOption


@dataclass(frozen=True)
class TaskSpec:
    """What is asked: the task's name, and its longest prompts, responses and labels (None: any) in tokens."""

    name: str
    max_prompt_tokens: int
    max_new_tokens: int
    max_label_tokens: int | None

    def __post_init__(self) -> None:
        limits = {"max_prompt_tokens": self.max_prompt_tokens, "max_new_tokens": self.max_new_tokens}
        if self.max_label_tokens is not None:
            limits["max_label_tokens"] = self.max_label_tokens
        _at_least(1, **limits)


@dataclass(frozen=True)
class EvaluateSpec:
    """How policies are evaluated; see conf/train.yaml."""

    temperature: float
    every: int
    validation_prompts: int | None
    prompts: int | None

    def __post_init__(self) -> None:
        require(
            (self.temperature >= 0, f"temperature={self.temperature}: expected 0 (greedy) or more"),
            (self.every >= 0, f"every={self.every}: expected 0 (never) or more"),
            *(
                (value is None or value >= 1, f"{name}={value}: expected at least 1, or null for all")
                for name, value in (("validation_prompts", self.validation_prompts), ("prompts", self.prompts))
            ),
        )


class Data(typing.Protocol):
    """A source of rows.

    Attributes:
        has_gold_score: whether its splits come with a world that scores any text.
        has_preferences: whether its rows have a chosen and a rejected response.
    """

    has_gold_score: typing.ClassVar[bool]

    @property
    def has_preferences(self) -> bool: ...

    def problems(self, task: str) -> list[str]:
        """What keeps it from serving a task."""
        ...

    def load(self, task: str) -> Any:
        """The task's `Splits`."""
        ...

    def rows(self, task: str) -> Any:
        """The task's `Splits` as the source has them, before any row is left out."""
        ...


@dataclass(frozen=True)
class RunConfig:
    """The keys of conf/train.yaml, checked."""

    F: int | str
    T: int
    batch_size: int
    seed: int
    learning_rate: float
    ensemble: int
    task: TaskSpec
    data: Data
    model: ModelSpec
    loss: Loss
    reference: Reference
    oracle: Oracle
    judge: Oracle
    allocation: Allocation
    logger: Logger
    collect: Collect
    sampler: SamplerOption
    evaluate: EvaluateSpec
    optimizer: OptimizerSpec
    checkpoint_every: int
    force: bool
    device: str
    cache: str

    @property
    def rounds(self) -> int:
        """F as a number."""
        return resolve_rounds(self.F, self.T)


def read_config(node: Mapping[str, Any], used: Sequence[str] | None = None) -> tuple[RunConfig | None, list[str]]:
    """Builds the parts of a configuration that are cheap to build, which is all of them but models and data.

    Args:
        node: the composed configuration, as plain dicts and values.
        used: the top-level keys that matter to the command; whether the others fit is not asked. All by default.

    Returns:
        The configuration, or None, and everything wrong with it, a line each. Data files are read, models are not.
    """
    parts, problems = _fields(RunConfig, node, "")
    try:
        problems += _across({name: part for name, part in parts.items() if used is None or name in used})
    except OSError as error:  # a path that is too long for any file, say
        problems.append(f"{str(error.filename)[:80]!r}: {error.strerror}")
    return (None, problems) if problems else (RunConfig(**parts), [])


def read_keys(kind: type, node: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A command's own keys as the fields of a dataclass: name -> value, None where it is not fit; and what is not."""
    return _fields(kind, node, "")


def _across(parts: dict[str, Any]) -> list[str]:
    """What is wrong with values and components that are fine by themselves. A missing part was reported before."""
    found: list[str] = []
    numbers = {n: parts[n] for n in ("T", "batch_size", "ensemble", "checkpoint_every") if parts.get(n) is not None}
    found += _caught(lambda: _at_least(1, **numbers))
    if parts.get("T", 0) and parts["T"] >= 1 and parts.get("F") is not None:
        found += _caught(lambda: resolve_rounds(parts["F"], parts["T"]))
    if parts.get("learning_rate") is not None and not parts["learning_rate"] > 0:
        found.append(f"learning_rate={parts['learning_rate']}: expected a number above 0")
    if parts.get("seed") is not None and parts["seed"] < 0:
        found.append(f"seed={parts['seed']}: expected 0 or more")
    if parts.get("device") is not None:
        found += _caught(lambda: choose_device(parts["device"]))
    if parts.get("cache") is not None and Path(parts["cache"]).is_file():
        found.append(f"cache={parts['cache']}: that is a file; expected a folder, or a name for one")
    model, data, task = parts.get("model"), parts.get("data"), parts.get("task")
    if model is not None and model.lora is None and (parts.get("ensemble") or 1) > 1:
        found.append(
            f"ensemble={parts['ensemble']} needs LoRA members, and model.lora is null; "
            f"use model=tiny_lora or another model with adapters"
        )
    for group in ("collect", "sampler"):
        if parts.get(group) is not None:
            found += parts[group].conflicts(parts)
    # An oracle that is not asked may be any.
    given = parts.get("collect") is not None and parts["collect"].from_data
    oracles = ("judge",) if given else ("oracle", "judge")
    for group in ("reference", *oracles, "allocation", "sampler"):
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


def _fields(kind: type, node: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[str]]:
    """The fields of a dataclass read from a node: name -> value, None where it is not fit; and what is not."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    values: dict[str, Any] = {}
    problems = [f"{path}{key}: no such key" for key in node if key not in names and key != "_target_"]
    for name in names:
        if name not in node:
            problems.append(f"{path}{name}: missing")
            values[name] = None
        else:
            values[name], found = _value(hints[name], node[name], f"{path}{name}")
            problems += found
    return values, problems


def _value(kind: Any, value: Any, path: str) -> tuple[Any, list[str]]:
    """A value read as a type: a plain one, a dataclass, or a component named by `_target_`."""
    if isinstance(value, Mapping) and typing.get_origin(kind) is dict:
        read = {key: _value(typing.get_args(kind)[1], one, f"{path}.{key}") for key, one in value.items()}
        problems = [line for _, found in read.values() for line in found]
        return (None, problems) if problems else ({key: one for key, (one, _) in read.items()}, [])
    if isinstance(value, Mapping):
        target = _target(value["_target_"], kind) if "_target_" in value else _dataclass_in(kind)
        if target is None:
            if "_target_" in value:
                return None, [f"{path}._target_={value['_target_']}: expected a class of this project for {path}"]
            return None, [f"{path}={dict(value)}: expected {_name(kind)}"]
        fields, problems = _fields(target, value, f"{path}.")
        if not problems:
            try:
                return target(**fields), []
            except ValueError as error:
                problems = [f"{path}.{line}" for line in str(error).splitlines()]
            except OSError as error:
                problems = [f"{path}: {str(error.filename)[:80]!r}: {error.strerror}"]
        return None, problems
    if any(_is_a(value, option) for option in _options(kind)):
        return float(value) if float in _options(kind) and type(value) is int else value, []
    return None, [f"{path}={'null' if value is None else value}: expected {_name(kind)}"]


def _is_a(value: Any, option: Any) -> bool:
    if option is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # nan is not
    if typing.get_origin(option) is list:
        return isinstance(value, list) and all(_is_a(one, typing.get_args(option)[0]) for one in value)
    return isinstance(option, type) and type(value) is option


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _dataclass_in(kind: Any) -> type | None:
    return next((option for option in _options(kind) if dataclasses.is_dataclass(option)), None)  # type: ignore[return-value]


def _name(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return " or ".join(
        words.get(option) or (f"a group of keys ({option.__name__})" if isinstance(option, type) else _several(option))
        for option in _options(kind)
    )


def _several(option: Any) -> str:
    return "a group of keys" if typing.get_origin(option) is dict else "a list of values"


def _target(name: object, kind: Any) -> type | None:
    """The class a yaml names: one of this project's dataclasses that is what `kind` asks for, and nothing else."""
    module, _, attribute = str(name).rpartition(".")
    if not re.fullmatch(r"src(\.[a-z][a-z0-9_]*)+", module):
        return None
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    if not isinstance(found, type) or not dataclasses.is_dataclass(found) or found.__module__ != module:
        return None
    has = {name for base in found.__mro__[:-1] for name in (*vars(base), *base.__annotations__)}
    fits = any(found is option or (_is_protocol(option) and _asked_by(option) <= has) for option in _options(kind))
    return found if fits else None


def _is_protocol(option: Any) -> bool:
    return isinstance(option, type) and typing.Protocol in option.__mro__


def _asked_by(protocol: type) -> set[str]:
    """The names that a protocol asks for."""
    names = (*vars(protocol), *protocol.__annotations__)
    return {name for name in names if not name.startswith("_") or name == "__call__"}


def _at_least(lowest: int, **values: int) -> None:
    require(*((value >= lowest, f"{name}={value}: expected at least {lowest}") for name, value in values.items()))


def _caught(check: typing.Callable[[], object]) -> list[str]:
    try:
        check()
    except ValueError as error:
        return str(error).splitlines()
    return []
