"""From rows to prompts with token ids."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from src.records import Ids, Prompt, Row
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from src.models.template import Template

log = logging.getLogger(__name__)

# Rows that are encoded in one call of the tokenizer.
BATCH = 256


def tokenize(
    rows: list[Row],
    template: "Template",
    max_prompt_tokens: int,
    split: str,
    first: int | None = None,
    max_label_tokens: int | None = None,
) -> list[Prompt]:
    """Tokenizes rows; drops rows whose prompt or label is too long, and logs how many.

    Args:
        rows: rows of a split, with different prompts.
        template: turns text into tokens.
        max_prompt_tokens: longest prompt that is kept, in tokens.
        split: the split's name, for messages.
        first: most prompts to return; None for all.
        max_label_tokens: longest label that is kept, in tokens without its end token; None for any.

    Returns:
        Prompts in the order of `rows`; `id` is the row's index.

    Raises:
        RunError: if no row is left.
    """
    kept: list[Prompt] = []
    long_prompts = long_labels = 0
    for id, row, ids, label_ids in _encoded(rows, template):
        if first is not None and len(kept) == first:
            return kept
        if len(ids) > max_prompt_tokens:
            long_prompts += 1
        elif max_label_tokens is not None and len(label_ids) - 1 > max_label_tokens:
            long_labels += 1
        else:
            pair_ids = None
            if row.chosen is not None and row.rejected is not None:
                pair_ids = template.response_ids(row.chosen), template.response_ids(row.rejected)
            kept.append(Prompt(id, row, ids, label_ids, pair_ids))
    for texts, count, key, limit in (
        ("prompts", long_prompts, "max_prompt_tokens", max_prompt_tokens),
        ("labels", long_labels, "max_label_tokens", max_label_tokens),
    ):
        if count:
            log.warning(
                "%s: %d of %d %s are longer than %d tokens and left out (task.%s)",
                split, count, len(rows), texts, limit, key,
            )  # fmt: skip
    if not kept:
        label = "" if max_label_tokens is None else f", and its label at most task.max_label_tokens={max_label_tokens}"
        raise RunError(f"{split}: no prompt has at most task.max_prompt_tokens={max_prompt_tokens} tokens{label}")
    return kept


def _encoded(rows: list[Row], template: "Template") -> Iterator[tuple[int, Row, Ids, Ids]]:
    """Index, row, and the token ids of prompt and label; rows are encoded in batches, as they are asked for."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        prompts = template.all_prompt_ids([row.prompt for row in batch])
        labels = template.all_response_ids([row.label for row in batch])
        yield from zip(range(start, start + len(batch)), batch, prompts, labels, strict=True)
