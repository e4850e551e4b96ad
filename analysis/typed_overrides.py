"""What has to be typed for a run with the settings of another one: all that differs from the yaml files of conf/."""

import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).parents[1] / "conf"
# Keys that say how a run is made and not what it computes, or that a command for missing runs has anyway.
ROW = ("F", "T", "batch_size", "ensemble", "seed", "task", "loss", "model", "data")
ELSEWHERE = (*ROW, "force", "cache", "experiment")
APART = ("choices", "reference", "allocation", "logger", "sampler")


def other_overrides(settings: Mapping[str, Any], same_loss: bool, same_task: bool, seeds_tied: bool) -> list[str]:
    """The overrides, quoted for a shell, beside task, loss, seed, method and the keys of the result row.

    Args:
        settings: resolved configuration of the run to be like, dotted key -> value; none without settings.
        same_loss: whether the new run has its loss; otherwise the loss keeps its own settings.
        same_task: whether the new run has its task.
        seeds_tied: whether the seed of the SFT policy is that of the run.
    """
    choices = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("choices.")}
    if not choices:
        return []
    apart = (*APART, *(["loss"] * (not same_loss)), *(["task"] * (not same_task)))
    usual_choices, usual = _usual(tuple(sorted(choices.items())))
    words = [
        f"{group}={option}"
        for group, option in choices.items()
        if option != usual_choices.get(group) and group not in (*ELSEWHERE, *APART, "source")
    ]
    for key, value in settings.items():
        own = key in ELSEWHERE or key.split(".")[0] in apart or key.endswith("_target_") or key == "model.sft.seed"
        if not own and usual.get(key, ...) != value:
            words.append(f"{key}={_typed(value)}")
    if seeds_tied:
        words.append("model.sft.seed=${seed}")
    elif settings.get("model.sft.seed") != usual.get("model.sft.seed"):
        words.append(f"model.sft.seed={settings['model.sft.seed']}")
    return [shlex.quote(word) for word in words]


@lru_cache(maxsize=32)
def _usual(choices: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], dict[str, Any]]:
    """The options that are chosen by default, and the values that the chosen ones bring along, by dotted key."""
    main = _read(CONF / "train.yaml")
    entries = [entry for entry in main.pop("defaults") if isinstance(entry, dict)]
    by_default = {key: value for entry in entries for key, value in entry.items() if isinstance(value, str)}
    tree: Any = OmegaConf.create(main)
    # In the order of the file: data come after the task, whose lengths they may set.
    order = list(by_default)
    for group, option in sorted(choices, key=lambda one: order.index(one[0]) if one[0] in order else len(order)):
        if group != "experiment":
            tree = OmegaConf.merge(tree, _of_option(group, option))
    return by_default, _flat(OmegaConf.to_container(tree), tree)


def _of_option(group: str, option: str) -> Any:
    """The values of an option, those of the options that it is made from included."""
    file = CONF / group / f"{option}.yaml"
    if not file.is_file():  # an option of the user's own
        return OmegaConf.create({})
    values = _read(file)
    parts = [entry for entry in values.pop("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    everywhere = "@package _global_" in file.read_text(encoding="utf-8")
    below = [_of_option(group, part) for part in parts]
    return OmegaConf.merge(*below, values if everywhere else {group: values})


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


def _flat(node: Any, tree: Any, path: str = "") -> dict[str, Any]:
    """Dotted key -> value, interpolations resolved where that is possible."""
    if isinstance(node, dict) and node:
        parts = [_flat(value, tree, f"{path}.{key}" if path else str(key)) for key, value in node.items()]
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(node, str) and "${" in node:
        try:
            found = OmegaConf.select(tree, path)
        except OmegaConfBaseException:
            return {}
        return _flat(OmegaConf.to_container(found), tree, path) if OmegaConf.is_config(found) else {path: found}
    return {path: node}


def _typed(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, str) and not value.replace("_", "a").replace("/", "a").replace(".", "a").isalnum():
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)
