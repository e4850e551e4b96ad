"""What has to be typed for a run with given settings: all that differs from the yaml files of conf/."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).parents[1] / "conf"
# Keys that say how a run is made and not what it computes.
HOW = ("force", "cache", "logger", "sampler")
SFT_SEED = "model.sft.seed"
# Groups whose options data bring along: of other data the default options are not those of conf/train.yaml.
BY_DATA = ("oracle", "judge")
ABSENT = "absent"
# (group, option) of every group, sorted.
Choices = tuple[tuple[str, str], ...]


class Change(NamedTuple):
    """A group or key that is typed: its value, and the one that it would have otherwise."""

    key: str
    value: Any
    usual: Any


def changes_from_defaults(settings: Mapping[str, Any]) -> list[Change]:
    """What has to be typed for the settings: groups first, then keys; empty without settings.

    Args:
        settings: resolved configuration, dotted key -> value, with the options chosen under `choices.`.
    """
    # Runs of a sweep share their settings, and comparing them takes milliseconds.
    return list(_changes(json.dumps(settings, default=str)))


@lru_cache(maxsize=4096)
def _changes(text: str) -> tuple[Change, ...]:
    """`changes_from_defaults` of settings in JSON."""
    settings = json.loads(text)
    choices = {
        key.partition(".")[2]: value
        for key, value in settings.items()
        if key.startswith("choices.") and isinstance(value, str)
    }
    if not choices:
        return ()
    chosen = tuple(sorted(choices.items()))
    by_default, _ = _usual(chosen)
    groups = [
        Change(group, option, by_default.get(group))
        for group, option in choices.items()
        if group not in (*HOW, "experiment") and not _by_itself(group, option, choices, by_default)
    ]
    return (*groups, *_changed_keys({key: value for key, value in settings.items() if _is_value(key)}, chosen))


def _by_itself(group: str, option: str, choices: Mapping[str, str], by_default: Mapping[str, str]) -> bool:
    """Whether an option need not be typed."""
    if group == "source":
        return choices.get("data") != "hub" or option == f"hub_{choices.get('task')}"
    if group in BY_DATA and choices.get("data") != by_default["data"]:
        return False
    return option == by_default.get(group)


def _is_value(key: str) -> bool:
    return key.split(".")[0] not in ("choices", *HOW) and not key.endswith("_target_")


def _changed_keys(settings: Mapping[str, Any], chosen: Choices) -> list[Change]:
    """The keys whose values differ from those of the yaml files, where keys that stand for others follow them."""
    usual: Any = _usual(chosen)[1]
    before = {key: _usual_value(chosen, key) for key in settings}
    changed = {
        key: Change(key, value, before[key].value)
        for key, value in settings.items()
        if not before[key].follows and before[key].value != value
    }
    followers = [key for key in settings if before[key].follows]
    if followers and changed:
        # What these stand for may have changed.
        usual = OmegaConf.create(OmegaConf.to_container(usual))
        for change in changed.values():
            # A configuration from elsewhere may have keys and values that are none here.
            with suppress(OmegaConfBaseException, ValueError, TypeError, AssertionError, AttributeError):
                OmegaConf.update(usual, change.key, change.value, force_add=True)
    for key in followers:
        value = _found(usual, key) if changed else before[key].value
        if value != settings[key]:
            changed[key] = Change(key, settings[key], value)
    return _folded([changed[key] for key in settings if key in changed], _usual(chosen)[1])


class _Usual(NamedTuple):
    """The value of a key that is not typed, and whether the key stands for another one."""

    value: Any
    follows: bool


@lru_cache(maxsize=8192)
def _usual_value(chosen: Choices, key: str) -> _Usual:
    tree = _usual(chosen)[1]
    return _Usual(_found(tree, key), _follows(tree, key))


def _folded(changes: Sequence[Change], usual: DictConfig) -> list[Change]:
    """The changes, those below a key that is null in the yaml files as one change of that key."""
    folded: dict[str, Change] = {}
    for change in changes:
        above = _null_above(change.key, usual)
        if above is None:
            folded[change.key] = change
            continue
        node = folded.setdefault(above, Change(above, {}, None)).value
        *parents, last = change.key.removeprefix(f"{above}.").split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = change.value
    return list(folded.values())


def _null_above(key: str, tree: DictConfig) -> str | None:
    """The key above this one that is null; None if there is none."""
    parts = key.split(".")
    above = (".".join(parts[:end]) for end in range(1, len(parts)))
    return next((one for one in above if _found(tree, one) is None), None)


def _follows(tree: DictConfig, key: str) -> bool:
    """Whether a key, or one above it, stands for another one."""
    parts = key.split(".")
    for end in range(len(parts)):
        parent: Any = OmegaConf.select(tree, ".".join(parts[:end])) if end else tree
        if not isinstance(parent, DictConfig) or parts[end] not in parent:
            return False
        if OmegaConf.is_interpolation(parent, parts[end]):
            return True
    return False


def _found(tree: DictConfig, key: str) -> Any:
    """A value, interpolations resolved; `ABSENT` if there is none."""
    try:
        value = OmegaConf.select(tree, key, default=ABSENT)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:
        return ABSENT


def overrides_from(settings: Mapping[str, Any], tied: bool, without: Sequence[str] = ()) -> list[str]:
    """The overrides of a run with these settings, quoted for a shell; none without settings.

    Args:
        settings: as for `changes_from_defaults`.
        tied: whether the seed of the SFT policy is that of the run, whichever seed that is.
        without: keys and groups that the caller types.
    """
    words = [
        f"{change.key}={typed(change.value)}"
        for change in changes_from_defaults(settings)
        if change.key not in without and not (tied and change.key == SFT_SEED)
    ]
    return [shlex.quote(word) for word in [*words, *([f"{SFT_SEED}=${{seed}}"] if tied else [])]]


@lru_cache(maxsize=64)
def _usual(choices: Choices) -> tuple[dict[str, str], DictConfig]:
    """The options that are chosen by default, and the values that the chosen ones bring along, not resolved."""
    main = _read(CONF / "train.yaml")
    entries = [entry for entry in main.pop("defaults") if isinstance(entry, dict)]
    by_default = {key: value for entry in entries for key, value in entry.items() if isinstance(value, str)}
    main.pop("hydra", None)
    tree: Any = OmegaConf.create(main)
    # In the order of the file: data come after the task, whose lengths they may set; a source comes after its data.
    order = [key.removeprefix("optional ") for entry in entries for key in entry]
    for group, option in sorted(choices, key=lambda one: order.index(one[0]) if one[0] in order else len(order)):
        if group != "experiment":
            tree = OmegaConf.merge(tree, _of_option(group, option))
    return by_default, tree


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


def typed(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{typed(one)}' for key, one in value.items())}}}"
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """A text: as it is if Hydra reads a plain word, a path or a name in it, else in quotes."""
    plain = re.fullmatch(r"[A-Za-z_/.][\w/.\-]*", value, re.ASCII)
    if plain and value.lower() not in ("null", "true", "false", "nan", "inf") and not re.fullmatch(r"\.[\d_]*", value):
        return value
    # A backslash is an escape only before a quote.
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", value)) + "'"
