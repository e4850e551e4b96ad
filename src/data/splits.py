"""Splits of rows, what must hold of them, and their token ids."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.data.world import World
from src.records import Prompt, Row
from src.runtime.errors import ConfigError, RunError

if TYPE_CHECKING:
    from src.models.template import Template

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """Rows of a task.

    Attributes:
        test: None where the data has no test split; the final evaluation then uses validation.
        world: the generated world the rows come from, for the gold score; None for real text.
    """

    train: list[Row]
    validation: list[Row]
    test: list[Row] | None
    world: World | None = None

    def named(self) -> Mapping[str, list[Row]]:
        """The splits that exist, by name."""
        both = {"train": self.train, "validation": self.validation}
        return both if self.test is None else {**both, "test": self.test}

    def fingerprint(self) -> str:
        """A hash of all rows of all splits, and of their order."""
        digest = hashlib.sha256()
        for name, rows in self.named().items():
            digest.update(f"{name} {len(rows)}\n".encode())
            for row in rows:
                digest.update(json.dumps([row.prompt, row.label, row.chosen, row.rejected]).encode())
        return digest.hexdigest()[:16]

    def final(self) -> str:
        """The split of the final evaluation."""
        return "validation" if self.test is None else "test"


def shared_prompts(splits: Splits) -> list[str]:
    """A line for every two splits that share a prompt; none if no prompt is in two splits."""
    named = list(splits.named().items())
    problems = []
    for place, (name, rows) in enumerate(named):
        prompts = {row.prompt for row in rows}
        for other, other_rows in named[place + 1 :]:
            shared = sorted({row.prompt for row in other_rows} & prompts)
            if shared:
                problems.append(
                    f"{len(shared)} prompts stand in both {name} and {other}, for example {shared[0][:60]!r}"
                )
    return problems


def unique_by_prompt(rows: list[Row]) -> list[Row]:
    """The first row of every prompt, in order."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.prompt, row)
    return list(first.values())


def without(rows: list[Row], held_out: list[Row]) -> list[Row]:
    """The rows whose prompt is not held out."""
    prompts = {row.prompt for row in held_out}
    return [row for row in rows if row.prompt not in prompts]


def disjoint(splits: Mapping[str, list[Row]], where: object) -> dict[str, list[Row]]:
    """The splits with every prompt once: its first row, in test before validation before train.

    Args:
        splits: some of train, validation and test.
        where: the source, for the message.

    Raises:
        ConfigError: if no row of a split is left.
    """
    kept: dict[str, list[Row]] = {}
    for name in (name for name in ("test", "validation", "train") if name in splits):
        kept[name] = without(unique_by_prompt(splits[name]), [row for rows in kept.values() for row in rows])
        if left_out := len(splits[name]) - len(kept[name]):
            log.warning(
                "%s: %d of %d rows left out: their prompt stands there already or in a held-out split",
                name, left_out, len(splits[name]),
            )  # fmt: skip
        if not kept[name]:
            raise ConfigError([f"{where}: no row of {name} is left once shared prompts are dropped"])
    return {name: kept[name] for name in splits}


def fingerprint(rows: list[Row]) -> str:
    """A hash of the prompts and labels of rows and their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.prompt, row.label]).encode())
    return digest.hexdigest()[:16]


def tokenize(
    rows: list[Row],
    template: "Template",
    max_prompt_tokens: int,
    split: str,
    first: int | None = None,
    max_label_tokens: int | None = None,
) -> list[Prompt]:
    """Prompts with token ids; rows with a prompt or a label too long are left out, and the log says how many.

    Args:
        rows: unique by prompt.
        template: turns text into tokens.
        max_prompt_tokens: longest prompt that is kept.
        split: for the message.
        first: how many of the prompts kept to return; all by default.
        max_label_tokens: longest label that is kept, its end token not counted; None for any.

    Raises:
        RunError: if none is left.
    """
    kept: list[Prompt] = []
    long_prompts = long_labels = 0
    for id, row in enumerate(rows):
        if first is not None and len(kept) == first:
            return kept
        ids = template.prompt_ids(row.prompt)
        if len(ids) > max_prompt_tokens:
            long_prompts += 1
            continue
        label_ids = template.response_ids(row.label)
        if max_label_tokens is not None and len(label_ids) - 1 > max_label_tokens:
            long_labels += 1
            continue
        pair_ids = None
        if row.chosen is not None and row.rejected is not None:
            pair_ids = template.response_ids(row.chosen), template.response_ids(row.rejected)
        kept.append(Prompt(id, row, ids, label_ids, pair_ids))
    for what, count, key, limit in (
        ("prompts", long_prompts, "max_prompt_tokens", max_prompt_tokens),
        ("labels", long_labels, "max_label_tokens", max_label_tokens),
    ):
        if count:
            log.warning(
                "%s: %d of %d %s are longer than %d tokens and left out (task.%s)",
                split, count, len(rows), what, limit, key,
            )  # fmt: skip
    if not kept:
        label = "" if max_label_tokens is None else f", and its label at most task.max_label_tokens={max_label_tokens}"
        raise RunError(f"{split}: no prompt has at most task.max_prompt_tokens={max_prompt_tokens} tokens{label}")
    return kept
