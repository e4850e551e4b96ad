"""Scoring with plain rows: each response after its own copy of the prompt, padded on the right."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference.row_layout import Layout
from src.models.context import length_switch


def plain_states(model: PreTrainedModel, layout: Layout, members: int) -> Tensor:
    """The model's own logits at the tokens that predict the responses; models may transform those of their head.

    Models count positions by themselves here: some do not begin at 0. Rows on different sides of a length switch are
    computed apart, so that none gets the rotary frequencies of another.

    Args:
        model: the language model.
        layout: of `src.inference.row_layout.plain_layout`.
        members: N members of an ensemble, each of which computes all rows.

    Returns:
        (N n, vocabulary) for n response tokens, by member.

    Raises:
        RunError: if a row is longer than what is computed alike in every batch (`src.models.context`).
    """
    lengths = layout.mask.sum(1).tolist()
    switch = length_switch(model.config)
    beyond = [switch is not None and switch.beyond(length) for length in lengths]
    L, parts, order = layout.ids.shape[1], [], []
    for side in sorted(set(beyond)):
        rows = torch.tensor([row for row, found in enumerate(beyond) if found == side], device=layout.ids.device)
        longest = max(lengths[row] for row in rows.tolist())
        ids, mask = (tensor[rows, :longest].repeat(members, 1) for tensor in (layout.ids, layout.mask))
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        here = torch.isin(layout.where // L, rows).nonzero().squeeze(1)
        columns = torch.searchsorted(rows, layout.where[here] // L) * longest + layout.where[here] % L
        parts.append(logits.reshape(members, -1, logits.shape[-1])[:, columns])
        order.append(here)
    return torch.cat(parts, dim=1)[:, torch.cat(order).argsort()].flatten(0, 1)
