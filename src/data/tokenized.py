"""From rows to prompts with token ids."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from src.data.end_names import without_end_name
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

    An end token that the data put behind a label or a response of a pair is taken off, which is logged too.

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
        RunError: if no row is left, or a text cannot be encoded (`src.models.plain_text`).
    """
    kept: list[Prompt] = []
    long_prompts = long_labels = empty_labels = ended = 0
    for id, row, ids, label_ids in _encoded(rows, template):
        if first is not None and len(kept) == first:
            break
        if len(ids) > max_prompt_tokens:
            long_prompts += 1
        elif max_label_tokens is not None and len(label_ids) - 1 > max_label_tokens:
            long_labels += 1
        elif rows[id].label and not row.label:
            empty_labels += 1
        else:
            pair_ids = None
            if row.chosen is not None and row.rejected is not None:
                pair_ids = template.response_ids(row.chosen), template.response_ids(row.rejected)
            kept.append(Prompt(id, row, ids, label_ids, pair_ids))
            ended += row != rows[id]
    if ended:
        log.warning("%s: %d rows have the name of an end token behind label or response; it is taken off", split, ended)
    if empty_labels:
        log.warning("%s: %d labels are nothing but the name of an end token and left out", split, empty_labels)
    for texts, count, key, limit in (
        ("prompts", long_prompts, "max_prompt_tokens", max_prompt_tokens),
        ("labels", long_labels, "max_label_tokens", max_label_tokens),
    ):
        if count and (first is None or len(kept) < first):
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
        batch = [_without_ends(row, template.end_names) for row in rows[start : start + BATCH]]
        prompts = template.all_prompt_ids([row.prompt for row in batch])
        labels = template.all_response_ids([row.label for row in batch])
        yield from zip(range(start, start + len(batch)), batch, prompts, labels, strict=True)


def _without_ends(row: Row, names: Sequence[str]) -> Row:
    """The row without the names of end tokens behind label, chosen and rejected."""
    texts = [text for text in (row.label, row.chosen, row.rejected) if text]
    if not any(text.rstrip().endswith(tuple(names)) for text in texts):
        return row
    chosen, rejected = (text and without_end_name(text, names) for text in (row.chosen, row.rejected))
    return replace(row, label=without_end_name(row.label, names), chosen=chosen, rejected=rejected)
