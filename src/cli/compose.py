"""The command line, checked whole before Hydra sees it.

Hydra stops at the first unknown key, takes any key after `++`, and makes the output folder before the program can look
at a value. Here every job of a command is composed and checked first, so that one message lists every problem and
nothing is written.
"""

import difflib
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.storage.run_name import run_name

OmegaConf.register_new_resolver("run_name", run_name, replace=True)

CONF = Path(__file__).parents[2] / "conf"
# Where runs go.
PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
# Another folder of yaml files, and what would not be conf/train.yaml, or is a pickle.
CONFIG_DIR = ("--config-dir", "-cd")
ELSEWHERE = ("--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun")
WITH_VALUE = (*CONFIG_DIR, *ELSEWHERE, "--package", "-p", "--cfg", "-c")
# What Hydra makes objects of; a class named anywhere else in its part of the configuration is none of its own.
HYDRAS_CLASSES = ("hydra._internal.", "hydra_plugins.")
# Launchers that come with a plugin: its name, and the extra that brings it.
LAUNCHERS = {
    "joblib": ("hydra_joblib_launcher", "joblib"),
    "submitit_local": ("hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_submitit_launcher", "slurm"),
    "ray": ("hydra_ray_launcher", "ray"),
}
# What composing ends in, whatever was typed: Hydra has errors of its own for most, and lets others through.
COMPOSING = (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError, RecursionError, OSError)
# A set of conf/source/ is read by it alone.
HUB = "src.data.hub.HubData"
# What conf/train.yaml says of itself; Hydra takes no null for a choice.
NO_EXPERIMENT = "experiment=null"
SECRET = re.compile(r"(?i)(key|token|secret|password)$")
# Hydra answers these itself.
HYDRAS_OWN = (
    "-h",
    "--help",
    "--hydra-help",
    "--version",
    "--shell-completion",
    "-sc",
    "--info",
    "-i",
    "-c",
)


@dataclass(frozen=True)
class Job:
    """One job of a command.

    Attributes:
        overrides: as typed, Hydra's own left out.
        folder: where it runs in a multirun; None if it cannot be composed.
        plain: its resolved configuration, empty if it cannot be composed.
        problems: what is wrong with it, a line each.
        choices: group -> the yaml chosen; over a saved run's configuration, of the groups named in the command alone.
        alone: where it runs without -m.
    """

    overrides: tuple[str, ...]
    folder: Path | None
    plain: dict[str, Any]
    problems: tuple[str, ...]
    choices: Mapping[str, str] = field(default_factory=dict)
    alone: Path | None = None


@dataclass(frozen=True)
class Taken:
    """What a command takes.

    Attributes:
        name: of the yaml in conf/ whose keys it takes.
        keys: those that mean something to it, with all below them; the others are refused. None: all.
        checked: those whose parts have to be there and to fit; `keys` where it is None.
        own: its own keys beside those, which a mistyped one may have meant.
        problems_in: what is wrong with a composed configuration, a line each; that of train where it is None.
        saved: a run's configuration, which then stands in the place of conf/train.yaml's values.
        saved_data: the `data` that the run chose; the limits and the set of another task are those that go with it.
    """

    name: str = "train"
    keys: tuple[str, ...] | None = None
    checked: tuple[str, ...] | None = None
    own: tuple[str, ...] = ()
    problems_in: Callable[[dict[str, Any]], list[str]] | None = None
    saved: Mapping[str, Any] | None = None
    saved_data: str = "embedded"


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra takes them: flags before overrides, and no experiment=null, which is the default.

    Hydra 1.3 refuses `F=2 -m seed=0,1` (its issue 3053).
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(argument for argument in arguments if argument != NO_EXPERIMENT)
    for argument in rest:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        flags.append(argument)
        if argument in WITH_VALUE:
            flags += [value for value in [next(rest, None)] if value is not None]
    return flags + overrides


def problems_of(arguments: Sequence[str]) -> list[str]:
    """Everything wrong with a command, a line each, each once."""
    flags = [argument.split("=")[0] for argument in arguments]
    if strange := [flag for flag in flags if flag in ELSEWHERE]:
        return [f"{flag}: runs are made from conf/train.yaml; --config-dir=DIR adds yaml files" for flag in strange]
    if any(flag in (*HYDRAS_OWN, "--cfg") for flag in flags):
        return []
    jobs, problems = compose_jobs(arguments)
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    places = {job.folder if multirun else job.alone for job in jobs} - {None}
    problems += [line for job in jobs for line in job.problems]
    problems += [line for place in sorted(map(str, places)) for line in place_problems(Path(place))]
    return list(dict.fromkeys(problems))


def place_problems(place: Path) -> list[str]:
    """Why a run's folder could not be made or written to: Hydra would end in a traceback there."""
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    if not there.is_dir():
        return [f"{place}: {there} is a file; choose another folder with hydra.run.dir=DIR (hydra.sweep.dir with -m)"]
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return [f"{place}: no right to write in {there}; hydra.run.dir=DIR (hydra.sweep.dir with -m) goes elsewhere"]
    return []


TRAIN = Taken()


def compose_jobs(arguments: Sequence[str], taken: Taken = TRAIN) -> tuple[list[Job], list[str]]:
    """Every job of a command, composed and checked; and what is wrong with the command as a whole."""
    folders, given = config_dirs(arguments)
    if absent := [f"--config-dir={one}: no such folder" for one in folders if not Path(one or "?").is_dir()]:
        return [], absent
    texts = [argument for argument in given if not argument.startswith("-")]
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    overrides, problems = _parse(texts)
    if problems:
        return [], problems
    swept = [override.input_line for override in overrides if override.is_sweep_override()]
    if swept and not multirun and not any(text.startswith("hydra.mode=") for text in texts):
        return [], [f"{line}: several values need -m (--multirun); a list is written [a,b]" for line in swept]
    if foreign := [f"{_line(one)}: {FOREIGN}" for one in overrides if _is_hydras(one) and _names_code(one)]:
        return [], foreign
    if lacking := [line for one in overrides if (line := launcher_problem(one.key_or_group, one.value()))]:
        return [], lacking
    places = [
        _line(one) for one in overrides if one.key_or_group in PLACES or "/" in one.key_or_group and _is_hydras(one)
    ]
    with _composing(folders):
        return [_compose_job(job, places, taken) for job in _jobs(overrides)], []


def config_dirs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders of `--config-dir`, as Hydra reads it, and the other arguments."""
    folders, others = [], []
    rest = iter(arguments)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        if flag in CONFIG_DIR:
            folders.append(value if equals else next(rest, ""))
        else:
            others.append(argument)
    return folders, others


@contextmanager
def _composing(folders: Sequence[str] = ()) -> Iterator[None]:
    """Composes from conf/ and more folders of yaml files."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        if folders:
            loader = GlobalHydra.instance().config_loader()
            path = loader.get_search_path()
            for folder in folders:
                path.prepend("command-line", f"file://{Path(folder).absolute()}", anchor="schema")
            loader.repository = ConfigRepository(config_search_path=path)  # type: ignore[attr-defined]
        yield


def launcher_problem(key: str, name: Any) -> str | None:
    """Why `hydra/launcher=name` cannot be had here, or None if it can, or is not for us to say."""
    plugin, extra = LAUNCHERS.get(str(name), ("", "")) if key == "hydra/launcher" else ("", "")
    if not plugin or _is_installed(f"hydra_plugins.{plugin}"):
        return None
    return f"hydra/launcher={name}: its plugin is not installed; pip install -e '.[{extra}]'"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # there are no plugins at all
        return False


FOREIGN = "Hydra would make an object of a class that is not its own; no code is named in a configuration"


def _names_code(override: Override) -> bool:
    """Whether an override of Hydra's own keys names a class or a function."""
    key = str(override.key_or_group).replace("/", ".")
    return "_target_" in _line(override) or key.startswith(("hydra.callbacks", "hydra.searchpath"))


def _foreign_classes(node: Any, path: str = "hydra") -> list[str]:
    """The classes in Hydra's part of a configuration that are not Hydra's, a line each."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [line for key, value in items for line in _foreign_classes(value, f"{path}.{key}")]
    if isinstance(node, dict) and not str(node.get("_target_", HYDRAS_CLASSES[0])).startswith(HYDRAS_CLASSES):
        found.append(f"{path}._target_={node['_target_']}: {FOREIGN}")
    return found


def secrets_in(plain: Any, path: str = "") -> list[str]:
    """Values of a configuration that hold a key of the environment, which would be written down with it."""
    if isinstance(plain, Mapping | list):
        items = plain.items() if isinstance(plain, Mapping) else enumerate(plain)
        return [line for key, value in items for line in secrets_in(value, f"{path}.{key}" if path else str(key))]
    names = [
        name for name, value in os.environ.items() if SECRET.search(name) and len(value) >= 8 and value in str(plain)
    ]
    return [
        f"{path} holds the value of ${name}; keys stay in the environment, a run writes its settings" for name in names
    ]


def compose_one(arguments: Sequence[str], taken: Taken) -> Job:
    """The one job of a command that takes key=value alone, composed and checked, problems included."""
    overrides, problems = _parse(arguments, taken.own)
    for override in overrides:
        if override.is_sweep_override():
            problems.append(f"{_line(override)}: one value only; a list is written [a,b]")
        elif _is_hydras(override):
            problems.append(f"{_line(override)}: this command is not run by Hydra; leave it out")
    if problems:
        return Job(tuple(arguments), None, {}, tuple(problems))
    with _composing():
        return _compose_job([_line(override) for override in overrides], [], taken)


def _line(override: Override) -> str:
    return str(override.input_line)


def _parse(texts: Sequence[str], own: Sequence[str] = ()) -> tuple[list[Override], list[str]]:
    parser = OverridesParser.create()
    overrides, problems = [], []
    for text in texts:
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            hint = "; Hydra reads no ~, write $HOME" if "~" in text.partition("=")[2] else ""
            if "=" in text.partition("=")[2]:
                hint = f"""; Hydra wants = and , in a value quoted: "{text.replace("=", "='", 1)}'\""""
            if difflib.get_close_matches(text.partition("=")[0], own):
                hint = f"; {nearest(text.partition('=')[0], own)}"
            problems.append(f"{text}: expected key=value ({str(error).splitlines()[0]}){hint}")
    return overrides, problems


def _jobs(overrides: list[Override]) -> list[list[str]]:
    """The override lists of every job. Another sweeper than Hydra's basic one decides for itself: checked without."""
    mine = [override for override in overrides if not _is_hydras(override)]
    if any(override.key_or_group == "hydra/sweeper" for override in overrides):
        return [[_line(override) for override in mine if not override.is_sweep_override()]]
    return [job for batch in BasicSweeper.split_arguments(mine, max_batch_size=None) for job in batch]


def _is_hydras(override: Override) -> bool:
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def _compose_job(job: list[str], places: list[str], taken: Taken) -> Job:
    overrides = _parse(job)[0]
    loader = GlobalHydra.instance().config_loader()
    all_groups = [group for group in loader.list_groups("") if group != "hydra"]
    groups = [group for group in all_groups if taken.keys is None or group in taken.keys]
    found, chosen, values = [], [], []
    for override in overrides:
        key, line = override.key_or_group, _line(override)
        if override.is_delete():
            found.append(f"{line}: no key can be taken away; set it to null where that is allowed")
        elif "_target_" in key:
            found.append(f"{line}: _target_ is the yaml files' own; choose another yaml of the group instead")
        elif key in groups:
            options = [option for option in loader.get_group_options(key)]
            if override.value() in options:
                chosen.append(override)
            elif override.value() is None:
                found.append(f"{line}: no choice is null; leave {key} out, or choose one of {', '.join(options)}")
            else:
                found.append(f"{line}: no such {key}; {nearest(str(override.value()), options)}")
        else:
            values.append(override)
    try:
        tree = _before_values(chosen, taken)
        sources = [override for override in chosen if override.key_or_group == "source"]
        if sources and OmegaConf.select(tree, "data._target_") != HUB:
            found += [f"{_line(one)}: only data=hub has a source; add data=hub, or leave source out" for one in sources]
            chosen = [override for override in chosen if override not in sources]
            tree = _before_values(chosen, taken)
        every = _keys(OmegaConf.to_container(tree))
    except COMPOSING as error:
        return Job(tuple(job), None, {}, (*found, _one_line(error)))
    keys = [key for key in every if taken.keys is None or f"{key}.".startswith(tuple(f"{one}." for one in taken.keys))]
    for override in values:
        key = override.key_or_group
        if key not in keys or override.package:
            known = key in every or key in all_groups
            hint = (
                "a key of src.train that means nothing here"
                if known
                else "no such key; " + _hint(key, [*taken.own, *keys], tree, groups)
            )
            found.append(f"{override.input_line}: {hint}")
    fine = [override for override in values if override.key_or_group in keys and not override.package]
    try:
        if taken.saved is not None:
            for override in fine:
                OmegaConf.update(tree, override.key_or_group, override.value())
            names, folder, alone = {str(o.key_or_group): str(o.value()) for o in chosen}, None, None
            plain = plain_config(tree)
        else:
            lines = [*map(_line, chosen), *map(_line, fine), *places]
            config = compose(taken.name, overrides=lines, return_hydra_config=True)
            # What ${hydra:...} in a yaml is read from.
            HydraConfig.instance().set_config(config)
            names, plain = dict(config.hydra.runtime.choices), plain_config(config)
            folder, alone = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir), Path(config.hydra.run.dir)
            # All that Hydra makes objects of.
            parts = ("callbacks", "launcher", "sweeper")
            found += _foreign_classes({one: OmegaConf.to_container(config.hydra[one], resolve=True) for one in parts})
    except COMPOSING as error:
        return Job(tuple(job), None, {}, (*found, _one_line(error)))
    found += secrets_in(plain)
    if taken.problems_in is not None:
        return Job(tuple(job), folder, plain, (*found, *taken.problems_in(plain)), names)
    from src.config import read_config  # brings torch, which Hydra's own flags do without

    used = taken.keys if taken.checked is None else taken.checked
    return Job(tuple(job), folder, plain, (*found, *read_config(plain, used)[1]), names, alone)


def _before_values(chosen: Sequence[Override], taken: Taken) -> DictConfig:
    """The configuration of the chosen groups, not resolved: what is made from a value follows the one that is typed."""
    if taken.saved is None:
        return compose(taken.name, overrides=[_line(override) for override in chosen])
    return _over(taken.saved, chosen, taken)


def _over(saved: Mapping[str, Any], chosen: Sequence[Override], taken: Taken) -> DictConfig:
    """A run's configuration with the groups chosen now in place of its own.

    Other data bring their judge; another task of the hub brings its set, and a set all that its yaml says.

    Raises:
        ValueError: if the hub's set for the task is not known.
    """
    options = GlobalHydra.instance().config_loader().get_group_options
    sets = options("source")
    own = {"data": taken.saved_data, "task": _name(saved.get("task"))}
    # What the run chose from a folder of its own (--config-dir) is no option here; its values are in `saved`.
    lines = [f"{group}={name}" for group, name in own.items() if name in options(group)]
    composed = compose(taken.name, overrides=[*lines, *map(_line, chosen)], return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    groups = {str(override.key_or_group) for override in chosen}
    task = choices.task if "task" in groups else own["task"]
    if "data" in groups:
        groups.add("judge")
    elif "source" in groups or (choices.data == "hub" and task != own["task"]):
        groups.add("data")
    new_set = "data" in groups and choices.data == "hub"
    if new_set and "source" not in groups and f"hub_{task}" not in sets:
        raise ValueError(f"data=hub: it has no set for task={task}; add source=NAME, one of {', '.join(sets)}")
    plain: Any = {key: node for key, node in OmegaConf.to_container(composed).items() if key != "hydra"}  # type: ignore[union-attr]
    # Keys that an earlier version's run knows nothing of are as they are by default.
    known = {group: _as_now(group, node, {**plain, **saved}) for group, node in saved.items()}
    tree = OmegaConf.create({**plain, **known, **{group: plain[group] for group in groups - {"source"}}})
    if new_set:
        rest = compose(f"source/{choices.source}")
        tree.merge_with(OmegaConf.masked_copy(rest, [str(key) for key in rest if key != "data"]))
    return tree


def _name(task: Any) -> Any:
    return task.get("name") if isinstance(task, dict) else None


def _as_now(group: str, node: Any, run: Mapping[str, Any]) -> Any:
    """A part of a run's configuration as this version's yaml of the same class has it: with what is new in it, and with
    its interpolations (device: ${device}) where they give the run's own values."""
    # judge=llm is made of oracle=llm.
    files = [*sorted((CONF / group).glob("*.yaml")), *sorted((CONF / "oracle").glob("*.yaml"))]
    for file in files if isinstance(node, dict) and "_target_" in node else ():
        default = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(default, dict) and default.get("_target_") == node["_target_"]:
            links = {key: text for key, text in default.items() if isinstance(text, str) and "${" in text}
            same = {key: text for key, text in links.items() if key in node and node[key] == _meant(text, run)}
            return {**default, **node, **same}
    return node


def _meant(text: str, run: Mapping[str, Any]) -> Any:
    """What an interpolation gives in a run's configuration."""
    return OmegaConf.create({**run, "meant": text})["meant"]


def plain_config(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain dicts, interpolations resolved, without Hydra's part."""
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "experiment")])
    plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in plain.items()}  # type: ignore[union-attr]


def _keys(node: Any, path: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    keys = [f"{path}{key}" for key in node if key != "_target_"]
    return keys + [below for key, value in node.items() for below in _keys(value, f"{path}{key}.")]


def _hint(key: str, keys: list[str], tree: DictConfig, groups: list[str]) -> str:
    parent = key.rpartition(".")[0]
    if parent in keys and OmegaConf.select(tree, parent) is None:
        return f"{parent} is null here" + ("; model=tiny_lora has one" if parent == "model.lora" else "")
    return nearest(key, [*groups, *keys])


def nearest(name: str, valid: Sequence[str]) -> str:
    """The end of a message about an unknown name: what it may have meant, or what there is."""
    leaves = {one.rsplit(".", 1)[-1]: one for one in reversed(valid)}
    close = difflib.get_close_matches(name, valid, n=2, cutoff=0.6)
    close += [leaves[leaf] for leaf in difflib.get_close_matches(name.rsplit(".", 1)[-1], leaves, n=2, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(dict.fromkeys(close))}?"
    return f"there are {', '.join(sorted({one for one in valid if '.' not in one}))}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
