"""Decoding with shared prompts: a prompt's keys and values are kept once for all of its responses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from src.inference import last_layer
from src.inference.lm_head import Head
from src.inference.row_layout import packed_layout, shared_layout
from src.inference.shared_cache import SharedCache
from src.inference.transposed_linear import transposed_linear, transposed_products
from src.models.decoder import decoder_of
from src.records import Ids


class SharedDecoder:
    """A `src.inference.decoding.Decoder` for models that `src.inference.shared_attention` is installed in.

    Args:
        model: the language model.
        prompts: B prompts, each of at least one token.
        k: responses per prompt.

    Attributes:
        logits: of the next token of each row, (rows, vocabulary), float32.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Ids], k: int) -> None:
        self.model, self.head = model, Head.of(model)
        on_cpu = model.device.type == "cpu"
        # Transposed products are faster in float32 on a CPU only.
        transposed = on_cpu and model.dtype == torch.float32
        self.layers = [layer for layer in model.modules() if type(layer) is nn.Linear] if transposed else []
        self.linear = transposed_linear if transposed else F.linear
        lay_out = packed_layout if on_cpu else shared_layout
        # A response of one token adds no input token: its only entry in the layout is the prompt's last state, which
        # predicts the first token of the response. Which token is meant does not matter.
        layout = lay_out(prompts, [[(0,)]] * len(prompts), model.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
        self.cache = SharedCache(lengths, k)
        read = last_layer.reads(model, layout.where) if on_cpu else {}
        states = self._states(layout.ids, layout.positions, layout.mask, **read).flatten(0, 1)
        self.logits = self.head.logits(states if read else states[layout.where]).repeat_interleave(k, 0)
        self.positions = lengths.repeat_interleave(k)

    def keep(self, rows: Tensor) -> None:
        self.positions = self.positions[rows]
        self.cache.keep(rows)

    def step(self, tokens: Tensor) -> None:
        # Nothing reads this mask; without one, transformers would build its own.
        mask = tokens.new_ones(len(tokens), 1, 1, 1, dtype=torch.bool)
        with self.cache.decoding(), transposed_products(self.layers):
            states = self._states(tokens[:, None], self.positions[:, None], mask)
        self.positions = self.positions + 1
        self.logits = self.head.logits(states[:, 0], self.linear)

    def _states(self, ids: Tensor, positions: Tensor, mask: Tensor, **read: Tensor) -> Tensor:
        """Hidden states of the last layer, (rows, L, d), for ids and positions (rows, L); of the read rows only."""
        states: Tensor = decoder_of(self.model)(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            **read,
        ).last_hidden_state
        return states
