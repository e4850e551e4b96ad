"""The words of a command: flags and overrides, as Hydra reads them."""

import difflib
import re
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from src.cli.hints import nearest

# Another folder of yaml files.
CONFIG_DIR = ("--config-dir", "-cd")
# Each of these would replace conf/train.yaml, or read a pickle.
ELSEWHERE = ("--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun")
WITH_VALUE = (*CONFIG_DIR, *ELSEWHERE, "--package", "-p", "--cfg", "-c")
# Answered by Hydra itself.
HYDRAS_OWN = ("--hydra-help", "--version", "--shell-completion", "-sc", "--info", "-i", "-c")
# conf/train.yaml says so itself, and Hydra takes no null for a choice.
NO_EXPERIMENT = "experiment=null"


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra takes them: flags before overrides, without experiment=null, which is the default.

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


def is_multirun(arguments: Sequence[str]) -> bool:
    """Whether -m is among the arguments."""
    return any(argument in ("-m", "--multirun") for argument in arguments)


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


def parsed(texts: Sequence[str], own: Sequence[str] = ()) -> tuple[list[Override], list[str]]:
    """The overrides among texts, and what is wrong with the other texts, a line each.

    Args:
        own: keys that are not Hydra's, which a text may have meant.
    """
    parser = OverridesParser.create()
    overrides, problems = [], []
    for text in texts:
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            key, _, value = text.partition("=")
            hint = "; Hydra reads no ~, write $HOME" if "~" in value else ""
            if "=" in value:
                hint = f"""; Hydra wants = and , in a value quoted: "{text.replace("=", "='", 1)}'\""""
            if difflib.get_close_matches(key, own):
                hint = f"; {nearest(key, own)}"
            problems.append(f"{text}: expected key=value ({str(error).splitlines()[0]}){hint}")
    return overrides, problems


def as_typed(override: Override) -> str:
    """An override as it was typed."""
    return str(override.input_line)


def is_hydras(override: Override) -> bool:
    """Whether an override is of Hydra's own part of the configuration."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def split_jobs(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job, Hydra's own left out.

    A sweeper other than Hydra's basic one makes its own jobs; one job without the swept keys is checked in their place.
    """
    ours = [override for override in overrides if not is_hydras(override)]
    if any(override.key_or_group == "hydra/sweeper" for override in overrides):
        return [[as_typed(override) for override in ours if not override.is_sweep_override()]]
    return [job for batch in BasicSweeper.split_arguments(ours, max_batch_size=None) for job in batch]


def hydra_quoted(text: str) -> str:
    """A value in the quotes that Hydra wants around = , and other characters of its grammar."""
    if re.fullmatch(r"[\w/.@+:-]+", text, re.ASCII):
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{escaped}'"
