"""What a user may type after a run: commands that can be pasted as they stand."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.cli.overrides import as_typed, hydra_quoted, parsed
from src.run_folder.unreadable import NO_TEXT, unreadable_share
from src.runtime.report import Report

# Share of responses that a trained policy, too, may cut within a letter.
FEW = 0.05


@dataclass(frozen=True)
class Typed:
    """The command of a run.

    Args:
        words: its overrides, as typed.
        hydras: those of Hydra's own keys, as typed.
        folders: those of --config-dir.
    """

    words: Sequence[str]
    hydras: Sequence[str] = ()
    folders: Sequence[str] = ()

    @staticmethod
    def of(hydra: Any) -> "Typed":
        """The command of the job that Hydra runs.

        Args:
            hydra: Hydra's part of the configuration.
        """
        sources = hydra.runtime.config_sources
        folders = [source.path for source in sources if source.provider == "command-line" and source.schema == "file"]
        hydras = [line for line in hydra.overrides.hydra if not line.startswith("hydra.mode=")]
        return Typed(list(hydra.overrides.task), hydras, folders)

    def but(self, changes: Sequence[str], short: str, several: bool = False) -> str:
        """The command with other values, in a folder of its own.

        Args:
            changes: overrides; they replace those of the same keys.
            short: what is added to the name of a folder that was typed.
            several: whether the changes have several values each, which makes a multirun.
        """
        keys = {change.partition("=")[0] for change in changes}
        kept = [word for word in self.words if word.lstrip("+").partition("=")[0] not in keys]
        places = [self._elsewhere(line, short, several) for line in self.hydras]
        flags = [word for folder in self.folders for word in ("--config-dir", folder)]
        many = ["-m"] if several else []
        return shlex.join(["python", "-m", "src.train", *flags, *many, *kept, *changes, *places])

    def _elsewhere(self, line: str, short: str, several: bool) -> str:
        """An override of Hydra's own; a folder that was typed for this run alone gets another name."""
        [override], _ = parsed([line])
        if override.key_or_group != "hydra.run.dir":
            return as_typed(override)
        key = "hydra.sweep.dir" if several else "hydra.run.dir"
        return f"{key}={hydra_quoted(f'{override.value()}-{short}')}"


def comparisons(typed: Typed, choices: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    """Commands of runs to compare a run with: other rounds, another reference, more seeds.

    Args:
        typed: the run's command.
        choices: group -> option of the run.
        plain: its configuration.
    """
    rounds = plain["T"] if plain["F"] == "T" else int(plain["F"])
    commands = []
    if choices["collect"] == "sample" and plain["T"] > 1:  # pairs of the data are collected once
        commands.append(typed.but(["F=1"], "F1") if rounds > 1 else typed.but(["F=2"], "F2"))
    if choices["reference"] == "behavior" and rounds > 1:  # with one round both are the same policy
        commands.append(typed.but(["reference=sft"], "sft"))
    seed = int(plain["seed"])
    commands.append(typed.but([f"seed={seed},{seed + 1},{seed + 2}"], "seeds", several=True))
    return commands


def say_what_next(report: Report, folder: Path, commands: Sequence[str]) -> None:
    """Prints where a run's responses are read, and commands of runs to compare it with.

    Args:
        report: prints.
        folder: of the run.
        commands: of `comparisons`.
    """
    samples = folder / "samples.jsonl"
    report.say(f"Read the responses in {samples}")
    if (share := unreadable_share(samples)) > FEW:
        report.warn(
            f"{share:.0%} of the responses have bytes that are no text (shown as {NO_TEXT}): the SFT policy was "
            "trained too little to spell. Such a run shows that everything works; its win rate means nothing"
        )
    report.say("Compare it with another number of rounds, another reference, or more seeds:")
    for command in commands:
        report.as_it_is(f"  {command}")
