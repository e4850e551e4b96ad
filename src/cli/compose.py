"""The command line, checked whole before Hydra sees it.

Hydra stops at the first unknown key, takes any key after `++`, and makes the output folder before the program can look
at a value. Here every job of a command is composed and checked first, so that one message lists every problem and
nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from src.cli.checks import FOREIGN, foreign_classes, launcher_problem, names_code, place_problems, secrets_in
from src.cli.conf import COMPOSING, composing, keys_in, plain_config
from src.cli.experiment_keys import without_replaced
from src.cli.hints import key_hint, nearest
from src.cli.overrides import (
    ELSEWHERE,
    HYDRAS_OWN,
    as_typed,
    config_dirs,
    is_hydras,
    is_multirun,
    parsed,
    split_jobs,
)
from src.cli.read_config import read_config
from src.cli.saved_settings import over_saved
from src.cli.taken import TRAIN, Taken

# The keys that say where runs go.
PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
# A set of conf/source/ is read by this class alone.
HUB = "src.data.hub.HubData"


@dataclass(frozen=True)
class Job:
    """One job of a command.

    Attributes:
        overrides: as typed, Hydra's own left out.
        folder: where the job runs in a multirun; None if it cannot be composed.
        plain: the resolved configuration, empty if it cannot be composed.
        problems: what is wrong with the job, a line each.
        choices: group -> option; over a saved run's configuration, of the groups named in the command alone.
        alone: where the job runs without -m.
    """

    overrides: tuple[str, ...]
    folder: Path | None
    plain: dict[str, Any]
    problems: tuple[str, ...]
    choices: Mapping[str, str] = field(default_factory=dict)
    alone: Path | None = None


def problems_of(arguments: Sequence[str]) -> list[str]:
    """Everything wrong with a command of src.train, a line each, each once."""
    return checked_command(arguments)[1]


def checked_command(arguments: Sequence[str]) -> tuple[list[Job], list[str]]:
    """The jobs of a command of src.train, and everything wrong with it, a line each, each once."""
    flags = [argument.split("=")[0] for argument in arguments]
    if strange := [flag for flag in flags if flag in ELSEWHERE]:
        adds = "runs are made from conf/train.yaml; --config-dir=DIR adds yaml files"
        return [], [f"{flag}: {adds}" for flag in strange]
    if any(flag in (*HYDRAS_OWN, "-h", "--help", "--cfg") for flag in flags):
        return [], []
    jobs, problems = compose_jobs(arguments)
    places = {job.folder if is_multirun(arguments) else job.alone for job in jobs} - {None}
    problems += [line for job in jobs for line in job.problems]
    problems += [line for place in sorted(map(str, places)) for line in place_problems(Path(place))]
    return jobs, list(dict.fromkeys(problems))


def compose_jobs(arguments: Sequence[str], taken: Taken = TRAIN) -> tuple[list[Job], list[str]]:
    """Every job of a command, composed and checked; and what is wrong with the command as a whole."""
    folders, given = config_dirs(arguments)
    if absent := [f"--config-dir={folder}: no such folder" for folder in folders if not Path(folder or "?").is_dir()]:
        return [], absent
    texts = [argument for argument in given if not argument.startswith("-")]
    overrides, problems = parsed(texts)
    if problems:
        return [], problems
    swept = [override.input_line for override in overrides if override.is_sweep_override()]
    if swept and not is_multirun(arguments) and not any(text.startswith("hydra.mode=") for text in texts):
        return [], [f"{line}: several values need -m (--multirun); a list is written [a,b]" for line in swept]
    hydras = [override for override in overrides if is_hydras(override)]
    if foreign := [f"{as_typed(override)}: {FOREIGN}" for override in hydras if names_code(override)]:
        return [], foreign
    if lacking := [line for override in hydras if (line := launcher_problem(override.key_or_group, override.value()))]:
        return [], lacking
    places = [as_typed(o) for o in hydras if o.key_or_group in PLACES or "/" in o.key_or_group]
    with composing(folders):
        return [_compose_job(job, places, taken) for job in split_jobs(overrides)], []


def compose_one(arguments: Sequence[str], taken: Taken) -> Job:
    """The one job of a command that takes key=value alone, composed and checked, problems included."""
    overrides, problems = parsed(arguments, taken.own)
    for override in overrides:
        if override.is_sweep_override():
            problems.append(f"{as_typed(override)}: one value only; a list is written [a,b]")
        elif is_hydras(override):
            problems.append(f"{as_typed(override)}: this command is not run by Hydra; leave it out")
    if problems:
        return Job(tuple(arguments), None, {}, tuple(problems))
    with composing():
        return _compose_job([as_typed(override) for override in overrides], [], taken)


def _compose_job(job: list[str], places: list[str], taken: Taken) -> Job:
    """Composes and checks one job.

    Args:
        job: the overrides.
        places: Hydra's own overrides that say where the job runs.
    """
    options, values, problems = _sorted_out(parsed(job)[0], taken)
    try:
        tree, choices = _before_values(options, taken)
        sources = [override for override in options if override.key_or_group == "source"]
        if sources and OmegaConf.select(tree, "data._target_") != HUB:
            problems += [
                f"{as_typed(override)}: only data=hub has a source; add data=hub, or leave source out"
                for override in sources
            ]
            options = [override for override in options if override not in sources]
            tree, choices = _before_values(options, taken)
        if no_set := _no_set(options, tree):
            # All keys of the set are missing, and those that were typed are unknown, for this one cause.
            return Job(tuple(job), None, {}, (*problems, no_set))
        values, unknown = _known(values, tree, taken)
        problems += unknown
        if taken.saved is not None:
            for override in values:
                OmegaConf.update(tree, override.key_or_group, override.value())
            names, folder, alone = {str(o.key_or_group): str(o.value()) for o in options}, None, None
            plain = plain_config(tree, choices)
        else:
            lines = [*map(as_typed, options), *map(as_typed, values), *places]
            config = compose(taken.name, overrides=lines, return_hydra_config=True)
            # ${hydra:...} in a yaml is read from here.
            HydraConfig.instance().set_config(config)
            names = dict(config.hydra.runtime.choices)
            plain = plain_config(without_replaced(config, config.hydra)[0], names)
            folder, alone = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir), Path(config.hydra.run.dir)
            # Hydra makes objects of these parts.
            parts = ("callbacks", "launcher", "sweeper")
            problems += foreign_classes({p: OmegaConf.to_container(config.hydra[p], resolve=True) for p in parts})
    except COMPOSING as error:
        return Job(tuple(job), None, {}, (*problems, " ".join(str(error).split())))
    problems += secrets_in(plain)
    if taken.problems_in is not None:
        return Job(tuple(job), folder, plain, (*problems, *taken.problems_in(plain)), names)
    checked = taken.keys if taken.checked is None else taken.checked
    return Job(tuple(job), folder, plain, (*problems, *read_config(plain, checked)[1]), names, alone)


def _groups() -> list[str]:
    return [group for group in GlobalHydra.instance().config_loader().list_groups("") if group != "hydra"]


def _sorted_out(overrides: Sequence[Override], taken: Taken) -> tuple[list[Override], list[Override], list[str]]:
    """The overrides that choose an option, those that give a value, and what is wrong with the others."""
    options, values, problems = [], [], []
    for override in overrides:
        key, line = override.key_or_group, as_typed(override)
        if override.is_delete():
            problems.append(f"{line}: no key can be taken away; set it to null where that is allowed")
        elif "_target_" in key:
            problems.append(f"{line}: _target_ is the yaml files' own; choose another yaml of the group instead")
        elif key in _groups() and taken.takes(key):
            there = GlobalHydra.instance().config_loader().get_group_options(key)
            if override.value() in there:
                options.append(override)
            elif override.value() is None:
                problems.append(f"{line}: no choice is null; leave {key} out, or choose one of {', '.join(there)}")
            else:
                problems.append(f"{line}: no such {key}; {nearest(str(override.value()), there)}")
        else:
            values.append(override)
    return options, values, problems


def _before_values(options: Sequence[Override], taken: Taken) -> tuple[DictConfig, Mapping[str, str]]:
    """The configuration of the chosen options, not resolved, and over a saved run's the choices.

    Not resolved, so that a value made from another follows the one that is typed.
    """
    if taken.saved is not None:
        return over_saved(options, taken)
    sources = tuple(source.path for source in GlobalHydra.instance().config_loader().get_sources())
    return _of_options(taken.name, tuple(as_typed(override) for override in options), sources), {}


@lru_cache(maxsize=64)
def _of_options(name: str, options: tuple[str, ...], sources: tuple[str, ...]) -> DictConfig:
    """The configuration of the chosen options, which the jobs of a grid have in common; not to be changed.

    Args:
        sources: the folders of yaml files that are composed from.
    """
    composed = compose(name, overrides=list(options), return_hydra_config=True)
    config, _ = without_replaced(composed, composed.hydra)
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _no_set(options: Sequence[Override], tree: DictConfig) -> str:
    """The problem if the hub's set for a task is not known; empty otherwise."""
    if OmegaConf.select(tree, "data._target_") != HUB or OmegaConf.select(tree, "data.path", default="") != "":
        return ""
    task = next((override.value() for override in options if override.key_or_group == "task"), "")
    sets = ", ".join(GlobalHydra.instance().config_loader().get_group_options("source"))
    return (
        f"data=hub: it has no set for task={task}, that is, no source/hub_{task}.yaml; add source=NAME, one of {sets}, "
        f"and the data. keys that differ, or write that yaml in a folder of your own (--config-dir=DIR)"
    )


def _known(values: Sequence[Override], tree: DictConfig, taken: Taken) -> tuple[list[Override], list[str]]:
    """The overrides whose key is there, and what is wrong with the others, a line each."""
    all_keys, all_groups = keys_in(OmegaConf.to_container(tree)), _groups()
    keys = [key for key in all_keys if taken.takes(key)]
    known, problems = [], []
    for override in values:
        key = override.key_or_group
        if key in keys and not override.package:
            known.append(override)
        elif key in all_keys or key in all_groups:
            problems.append(f"{as_typed(override)}: a key of src.train that means nothing here")
        else:
            hint = key_hint(key, [*taken.own, *keys], tree, [group for group in all_groups if taken.takes(group)])
            problems.append(f"{as_typed(override)}: no such key; {hint}")
    return known, problems
