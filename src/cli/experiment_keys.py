"""The settings of an experiment for options that a command replaces by others.

Hydra merges an experiment last, whatever is chosen beside it: the `data.train` of `experiment=smoke` would also stand
beside `data=files`, which has no such key, and its `model.scratch` beside a model with a path.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from src.cli.composed_beside import composed_beside, config_sources


def without_replaced(config: DictConfig, hydra: Any) -> tuple[DictConfig, list[str]]:
    """A configuration without the experiment's settings of options that were replaced.

    A key that the experiment's own options do not have either is a mistake in its yaml, and stays, to be refused.

    Args:
        config: as composed, not resolved; left as it is.
        hydra: Hydra's part of it.

    Returns:
        The configuration, and the keys that were left out, sorted.
    """
    experiment = hydra.runtime.choices.get("experiment")
    if experiment is None:
        return config, []
    source = hydra.job.config_name, config_sources(hydra)
    values = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    there = _values(*source, _options(hydra))
    if not (added := _added(values, there)):
        return config, []
    alone = composed_beside(*source, [f"experiment={experiment}"])
    mistaken = _added(
        {key: node for key, node in OmegaConf.to_container(alone).items() if key != "hydra"},  # type: ignore[union-attr]
        _values(*source, _options(alone.hydra)),
    )
    replaced = {key: parent for key, parent in added.items() if key not in mistaken}
    cleaned = deepcopy(config)
    OmegaConf.set_struct(cleaned, False)
    for key, parent in replaced.items():
        above, _, name = key.rpartition(".")
        if isinstance(parent, dict):
            with open_dict(cleaned):
                OmegaConf.select(cleaned, above).pop(name) if above else cleaned.pop(name)
        else:  # the option has no such part: model.scratch is null where there is a path
            OmegaConf.update(cleaned, above, parent, merge=False)
    return cleaned, sorted(replaced)


def left_out_line(hydra: Any, keys: Sequence[str]) -> str:
    """What the user is told of the keys that `without_replaced` left out."""
    groups = sorted({key.partition(".")[0] for key in keys})
    beside = " ".join(f"{group}={hydra.runtime.choices.get(group)}" for group in groups)
    experiment = f"experiment={hydra.runtime.choices.get('experiment')}"
    return f"{experiment}: {', '.join(keys)} left out, which mean{'s' * (len(keys) == 1)} nothing in {beside}"


def _options(hydra: Any) -> tuple[str, ...]:
    """The options chosen, as overrides, but for the experiment and for those that no file may stand for."""
    choices = hydra.runtime.choices
    left_out = ("experiment", "local", *(() if choices.get("data") == "hub" else ("source",)))
    names = {
        group: name
        for group, name in choices.items()
        if name is not None and group not in left_out and not {"/", "@"} & set(group)
    }
    if "source" in names:  # hub/paper stands for the task's own file
        names["source"] = choices.get("source@_global_") or names["source"]
    return tuple(f"{group}={name}" for group, name in sorted(names.items()))


@lru_cache(maxsize=64)
def _values(config_name: str, sources: tuple[tuple[str, str], ...], lines: tuple[str, ...]) -> dict[str, Any]:
    """The values that options have by themselves; not to be changed."""
    config = composed_beside(config_name, sources, lines)
    return {str(key): node for key, node in OmegaConf.to_container(config).items() if key != "hydra"}  # type: ignore[union-attr]


def _added(values: Any, there: Any, path: str = "") -> dict[str, Any]:
    """Key -> the node in the place of its parent in `there`, of the keys that `there` lacks."""
    added: dict[str, Any] = {}
    for name, node in values.items() if isinstance(values, dict) else ():
        key = f"{path}.{name}" if path else str(name)
        if not isinstance(there, dict) or name not in there:
            added[key] = there
        elif isinstance(node, dict):
            added |= _added(node, there[name], key)
    return added
