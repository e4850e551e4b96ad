"""The name of a run from its composed configuration: the resolvers `run_name` and `run_name_with` of conf/.

A name is made of the options chosen and of the values that differ from those of these options, so it does not depend on
how a command was typed: in which order, in a multirun or alone, with a default written out or left out.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.composed_beside import composed_beside, config_sources
from src.storage.run_name import HOW, run_name, shaping

# Top-level keys that are no part of the values: Hydra's, and the place that the name itself is for.
NO_VALUES = ("hydra", "experiment", "out")


def chosen(choices: Mapping[str, str | None]) -> dict[str, str]:
    """The options that shape a result: group -> option, of `hydra.runtime.choices`."""
    names = {
        group: name
        for group, name in choices.items()
        if name is not None and not {"/", "@"} & set(group) and group not in (*HOW, "local")
    }
    # source=hub/paper stands for another one, that of the task.
    if source := choices.get("source@_global_"):
        names["source"] = source
    if names.get("data") != "hub":
        names.pop("source", None)  # of other data no file has such a name
    return names


def name_of(config: DictConfig, words: Sequence[str]) -> str:
    """The name of a composed configuration, Hydra's part included.

    Args:
        config: as composed, not resolved.
        words: the groups and keys that the name begins with.
    """
    hydra: Any = config.hydra if "hydra" in config else HydraConfig.get()
    names = chosen(hydra.runtime.choices)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key not in NO_VALUES])
    plain: Any = OmegaConf.to_container(own, resolve=True)
    source = hydra.job.config_name, config_sources(hydra)
    # The options that come by themselves with those at the name's beginning, and with other data, have no part.
    given = {group: names[group] for group in (*words, "experiment") if group in names}
    for groups in (["data"], [group for group in names if group not in given]):
        by_itself, _ = _of_options(*source, _lines(given))
        given |= {group: names[group] for group in groups if names.get(group) != by_itself.get(group)}
    _, text = _of_options(*source, _lines(given))
    values = _differences(shaping(plain), shaping(_as_by_itself(json.loads(text), plain)))
    options = {group: name for group, name in given.items() if group not in words}
    begin = [names[word] if word in names else f"{word}{plain[word]}" for word in words]
    return run_name(begin, {**options, **{key: value for key, value in values.items() if key not in words}})


def _lines(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{group}={name}" for group, name in sorted(options.items()))


@lru_cache(maxsize=256)
def _of_options(
    config_name: str, sources: tuple[tuple[str, str], ...], lines: tuple[str, ...]
) -> tuple[dict[str, str], str]:
    """What options bring along: all options chosen then, and the values, not resolved, as JSON."""
    config = composed_beside(config_name, sources, lines)
    values = {key: node for key, node in OmegaConf.to_container(config).items() if key not in NO_VALUES}  # type: ignore[union-attr]
    return chosen(config.hydra.runtime.choices), json.dumps(values)


def _as_by_itself(node: Any, plain: dict[str, Any]) -> Any:
    """Values with their interpolations resolved in another configuration: what they are if nobody types them there."""
    run = OmegaConf.create(plain)

    def resolved(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: resolved(below, f"{path}.{key}" if path else key) for key, below in value.items()}
        if not isinstance(value, str) or "${" not in value:
            return value
        there = OmegaConf.select(run, path)
        try:
            # At its own place, for those that are relative.
            OmegaConf.update(run, path, value)
            meant = OmegaConf.select(run, path)
            return OmegaConf.to_container(meant, resolve=True) if OmegaConf.is_config(meant) else meant
        except OmegaConfBaseException:
            return value
        finally:
            OmegaConf.update(run, path, there)

    return resolved(node, "")


def _differences(values: Any, others: Any, path: str = "") -> dict[str, Any]:
    """The values that differ from others, by their keys."""
    if isinstance(values, dict) and values:
        below = others if isinstance(others, dict) else {}
        return {
            key: value
            for name, node in values.items()
            for key, value in _differences(node, below.get(name, ...), f"{path}.{name}" if path else name).items()
        }
    same = others is not ... and json.dumps(values, sort_keys=True) == json.dumps(others, sort_keys=True)
    return {} if same else {path: values}


def _run_name(*words: str, _root_: DictConfig) -> str:
    return name_of(_root_, words)


def _run_name_with(*changes: str, _root_: DictConfig) -> str:
    """The name of the run of the same command with other overrides in the place of those of the same keys."""
    hydra: Any = _root_.hydra if "hydra" in _root_ else HydraConfig.get()
    keys = {change.partition("=")[0] for change in changes}
    kept = [line for line in hydra.overrides.task if line.lstrip("+").partition("=")[0] not in keys]
    return str(composed_beside(hydra.job.config_name, config_sources(hydra), [*kept, *changes]).hydra.sweep.subdir)


OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
OmegaConf.register_new_resolver("run_name_with", _run_name_with, replace=True)
