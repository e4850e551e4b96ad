"""Log-probabilities of responses: the one component behind SFT, learning, reference log-probs and KL.

A prompt is encoded once for its k responses, logits are made at response positions alone and never kept. A model that
cannot take such rows is scored the plain way, every response a row behind a copy of its prompt: that is the twin the
other must agree with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference.lm_head import Head, token_logps
from src.inference.row_layout import Layout, batches, packed_batches, packed_layout, plain_layout, shared_layout
from src.inference.shared_attention import install, uninstall
from src.models.sharding import idle
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.memory import naming


def ignore(parts: int) -> None:
    """For those who do not watch."""


@dataclass(frozen=True)
class Scorer:
    """Scores (prompt, its k responses) under a causal language model, at temperature 1.

    Args:
        tokens: most tokens in one forward pass, padding included; results do not depend on it.
        longest: rows of up to so many tokens share their prompt; 0: none.
        packed: whether such rows stand one behind the other, without padding. Better on a processor, where the rows'
            attention one after another costs nothing; on a GPU rows side by side are.
    """

    tokens: int
    longest: int
    packed: bool = False

    def logps(self, model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]) -> Tensor:
        """Summed log-probability of every response, in one forward pass, with gradients where they are enabled.

        Args:
            prompts: B prompts, each of at least one token.
            responses: B lists of k responses, of any length.

        Returns:
            (B, k) in nats, float32; 0 for an empty response.
        """
        return self.member_logps(model, 1, prompts, responses)[0]

    def member_logps(
        self, model: PreTrainedModel, members: int, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> Tensor:
        """As `logps`, for the members of an ensemble that is active in the model (`Policy.learning`): (N, B, k)."""
        layout, states, head = self._forward(model, members, prompts, responses)
        logps = token_logps(states, head, layout.targets.repeat(members)).reshape(members, -1)
        return layout.sums(logps).reshape(members, len(prompts), -1)

    @torch.no_grad()
    def states(
        self, model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> tuple[Tensor, Head]:
        """The hidden states that predict the response tokens, (n, d), and the head they go through."""
        _, states, head = self._forward(model, 1, prompts, responses)
        return states, head.detach()

    def batches(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], members: int = 1) -> list[list[int]]:
        """The prompts, by index, of every forward pass: sorted by length, each within `tokens`."""
        found = []
        for shared in (True, False):
            rows = [i for i, one in enumerate(map(self.shares, prompts, responses)) if one == shared]
            lengths = [_lengths(prompts[i], responses[i], shared, members) for i in rows]
            if shared and self.packed:
                cut = packed_batches([sum(both) for both in lengths], self.tokens)
            else:
                cut = batches(lengths, self.tokens)
            found += [[rows[place] for place in batch] for batch in cut]
        return found

    @torch.no_grad()
    def all_logps(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        responses: Sequence[Sequence[Ids]],
        tick: Callable[[int], None] = ignore,
    ) -> Tensor:
        """As `logps`, for any number of prompts, batch by batch, on the CPU; processes share the prompts.

        `tick` is called with the number of prompts scored here.
        """
        k = len(responses[0]) if responses else 2
        out = torch.zeros(len(prompts), k)
        own = processes.share(
            [len(prompt) + sum(map(len, group)) for prompt, group in zip(prompts, responses, strict=True)]
        )
        asked, given = [prompts[i] for i in own], [responses[i] for i in own]
        for batch in signals.between(self.batches(asked, given), partial(idle, model)):
            with naming("model.tokens", self.tokens):
                scored = self.logps(model, [asked[i] for i in batch], [given[i] for i in batch]).cpu()
            out[[own[i] for i in batch]] = scored
            tick(len(batch))
        return processes.total(out)

    def _forward(
        self, model: PreTrainedModel, members: int, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> tuple[Layout, Tensor, Head]:
        """The layout, the states that predict its targets, member by member (members * n, d), and their head."""
        shared = all(map(self.shares, prompts, responses))
        lay_out = plain_layout if not shared else packed_layout if self.packed else shared_layout
        layout = lay_out(prompts, responses, model.device)
        lengths = shared and self.packed  # of one row, the same for all members
        inputs = {
            "input_ids": layout.ids.repeat(members, 1),
            "attention_mask": layout.mask if lengths else layout.mask.repeat(members, *[1] * (layout.mask.dim() - 1)),
            "position_ids": layout.positions.repeat(members, 1),
            "use_cache": False,
        }
        # The plain way takes the model's own logits, whatever it does to them.
        out = model.base_model(**inputs).last_hidden_state if shared else model(**inputs).logits
        states = out.reshape(members, -1, out.shape[-1])[:, layout.where].flatten(0, 1)
        return layout, states, Head.of(model) if shared else Head(None, None, None)

    def shares(self, prompt: Ids, group: Sequence[Ids]) -> bool:
        """Whether a prompt is encoded once for these responses."""
        return len(prompt) + sum(map(len, group)) <= self.longest


def _lengths(prompt: Ids, group: Sequence[Ids], shared: bool, members: int) -> tuple[int, int]:
    """Tokens of a prompt's rows, for all members: of the prompt and of the responses, or of copies of both."""
    if shared:
        return members * len(prompt), members * sum(map(len, group))
    return members * len(group) * (len(prompt) + max(map(len, group))), 0


def scorer_for(model: PreTrainedModel, tokens: int, warn: Callable[[str], None]) -> Scorer:
    """The scorer that a model can take, found by scoring two prompts both ways.

    Args:
        tokens: as in `Scorer`.
        warn: hears what a model that goes the plain way costs.
    """
    plain = Scorer(tokens, longest=0)
    if not install(model):
        warn(f"{type(model).__name__} has an attention of its own: {SLOWER}")
        return plain
    window = getattr(model.config, "sliding_window", None)
    shared = Scorer(tokens, longest=window or 2**62, packed=model.device.type == "cpu")
    generator = torch.Generator().manual_seed(0)
    top = min(model.config.get_text_config().vocab_size, 1000)
    prompts, *answers = (
        [tuple(torch.randint(top, (length,), generator=generator).tolist()) for length in lengths]
        for lengths in ((5, 9), (4, 3), (7, 1))
    )
    responses = list(zip(*answers, strict=True))
    with torch.no_grad():
        one, other = (scorer.logps(model, prompts, responses) for scorer in (shared, plain))
    coarse = model.dtype in (torch.bfloat16, torch.float16)
    if torch.allclose(one, other, rtol=3e-2 if coarse else 1e-4, atol=0.2 if coarse else 1e-3):
        return shared
    uninstall(model)
    warn(f"{type(model).__name__} scores rows with a shared prompt differently: {SLOWER}")
    return plain


SLOWER = "every prompt is encoded once for each response instead of once, which nearly doubles the time of a step"
