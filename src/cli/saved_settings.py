"""A saved run's configuration with other options in the place of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from src.cli.conf import CONF
from src.cli.folder_name import chosen
from src.cli.overrides import as_typed
from src.cli.taken import Taken


def over_saved(options: Sequence[Override], taken: Taken) -> tuple[DictConfig, dict[str, str]]:
    """A run's configuration with the options typed now in the place of its own.

    Other data bring their judge; another task of the hub brings its set, and a set everything that its yaml says.

    Returns:
        The configuration, not resolved, and its choices.

    Raises:
        ValueError: if the hub's set for the task is not known.
    """
    saved = {key: node for key, node in (taken.saved or {}).items() if key != "choices"}
    options_of = GlobalHydra.instance().config_loader().get_group_options
    sets = options_of("source")
    run = {"data": taken.saved_data, "task": _name(saved.get("task"))}
    # What the run chose from a folder of its own (--config-dir) is no option here; its values are in `saved`.
    lines = [f"{group}={name}" for group, name in run.items() if name in options_of(group)]
    composed = compose(taken.name, overrides=[*lines, *map(as_typed, options)], return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    groups = {str(override.key_or_group) for override in options}
    task = choices.task if "task" in groups else run["task"]
    if "data" in groups:
        groups.add("judge")
    elif "source" in groups or (choices.data == "hub" and task != run["task"]):
        groups.add("data")
    new_set = "data" in groups and choices.data == "hub"
    if new_set and "source" not in groups and f"hub_{task}" not in sets:
        raise ValueError(f"data=hub: it has no set for task={task}; add source=NAME, one of {', '.join(sets)}")
    plain: Any = {key: node for key, node in OmegaConf.to_container(composed).items() if key != "hydra"}  # type: ignore[union-attr]
    # Keys that the version of the run did not have get their default.
    known = {group: _as_now(group, node, {**plain, **saved}) for group, node in saved.items()}
    tree = OmegaConf.create({**plain, **known, **{group: plain[group] for group in groups - {"source"}}})
    if new_set:
        rest = compose(f"source/{choices.source}")
        tree.merge_with(OmegaConf.masked_copy(rest, [str(key) for key in rest if key != "data"]))
    now = chosen(choices)
    noted = (taken.saved or {}).get("choices")
    typed = {group: now[group] for group in {*groups, *(("source",) if new_set else ())} if group in now}
    return tree, {**now, **(noted if isinstance(noted, dict) else {}), **typed}


def _name(task: Any) -> Any:
    return task.get("name") if isinstance(task, dict) else None


def _as_now(group: str, node: Any, run: Mapping[str, Any]) -> Any:
    """A part of a run's configuration as this version's yaml of the same class has it.

    Keys that are new in the yaml are added, and an interpolation of the yaml (device: ${device}) replaces the run's
    value where it gives that value.
    """
    # judge=llm is made of oracle=llm.
    files = [*sorted((CONF / group).glob("*.yaml")), *sorted((CONF / "oracle").glob("*.yaml"))]
    for file in files if isinstance(node, dict) and "_target_" in node else ():
        default = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(default, dict) and "_target_" not in default:
            default = default.get(group)  # a yaml that sets other groups too
        if isinstance(default, dict) and default.get("_target_") == node["_target_"]:
            links = {key: text for key, text in default.items() if isinstance(text, str) and "${" in text}
            same = {key: text for key, text in links.items() if key in node and node[key] == _meant(text, run)}
            return {**default, **node, **same}
    return node


def _meant(text: str, run: Mapping[str, Any]) -> Any:
    """The value of an interpolation in a run's configuration."""
    return OmegaConf.create({**run, "meant": text})["meant"]
