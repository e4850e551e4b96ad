"""Splits of rows, and the rule that no prompt is in two of them."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from src.data.world import World
from src.records import Row
from src.runtime.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """Rows of a task.

    Attributes:
        train, validation: never empty.
        test: None if the data has no test split; the final evaluation then uses validation.
        world: the generated world of embedded data, for the gold score; None for real text.
    """

    train: list[Row]
    validation: list[Row]
    test: list[Row] | None
    world: World | None = None

    def named(self) -> Mapping[str, list[Row]]:
        """The existing splits, by name."""
        both = {"train": self.train, "validation": self.validation}
        return both if self.test is None else {**both, "test": self.test}

    def fingerprint(self) -> str:
        """A hash of all rows and their order, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, rows in self.named().items():
            digest.update(f"{name} {len(rows)}\n".encode())
            for row in rows:
                digest.update(json.dumps([row.prompt, row.label, row.chosen, row.rejected]).encode())
        return digest.hexdigest()[:16]

    def final(self) -> str:
        """The name of the split of the final evaluation."""
        return "validation" if self.test is None else "test"


def shared_prompts(splits: Splits) -> list[str]:
    """Which splits share prompts, a line for each two that do."""
    named = list(splits.named().items())
    problems = []
    for index, (name, rows) in enumerate(named):
        prompts = {row.prompt for row in rows}
        for other, other_rows in named[index + 1 :]:
            shared = sorted({row.prompt for row in other_rows} & prompts)
            if shared:
                problems.append(f"{len(shared)} prompts are in both {name} and {other}, for example {shared[0][:60]!r}")
    return problems


def unique_by_prompt(rows: list[Row]) -> list[Row]:
    """The first row of every prompt, in the order of `rows`."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.prompt, row)
    return list(first.values())


def without(rows: list[Row], held_out: list[Row]) -> list[Row]:
    """The rows whose prompt is not among the held-out rows."""
    prompts = {row.prompt for row in held_out}
    return [row for row in rows if row.prompt not in prompts]


def disjoint(splits: Mapping[str, list[Row]], where: object) -> dict[str, list[Row]]:
    """Keeps every prompt once: its first row, in test if test has the prompt, else in validation, else in train.

    Args:
        splits: rows of some of train, validation and test.
        where: the source, for the message.

    Returns:
        The same splits, without the other rows; the log says how many were dropped.

    Raises:
        ConfigError: if no row of a split is left.
    """
    kept: dict[str, list[Row]] = {}
    for name in (name for name in ("test", "validation", "train") if name in splits):
        kept[name] = without(unique_by_prompt(splits[name]), [row for rows in kept.values() for row in rows])
        if left_out := len(splits[name]) - len(kept[name]):
            log.warning(
                "%s: %d of %d rows left out: their prompt occurs earlier in the split or in a held-out split",
                name, left_out, len(splits[name]),
            )  # fmt: skip
        if not kept[name]:
            raise ConfigError([f"{where}: no row of {name} is left once shared prompts are dropped"])
    return {name: kept[name] for name in splits}


def fingerprint(rows: list[Row]) -> str:
    """A hash of the prompts and labels of rows and of their order, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.prompt, row.label]).encode())
    return digest.hexdigest()[:16]
