"""Log-probabilities of responses, for SFT, learning, reference log-probs and the KL.

A prompt is encoded once for its k responses; logits are computed at response positions only and never kept. A model
that does not accept such rows is scored with plain rows: each response after its own copy of the prompt. Both must give
the same log-probabilities up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference import last_layer
from src.inference.lm_head import Head, token_logps
from src.inference.plain_choice import UNCACHED, choose, decodes
from src.inference.plain_scoring import plain_states
from src.inference.row_layout import Layout, packed_batches, packed_layout, padded_batches, plain_layout, shared_layout
from src.inference.self_check import Trial, equal_up_to_rounding, trial_of
from src.inference.shared_attention import install, uninstall
from src.inference.shared_decoding import SharedDecoder
from src.inference.windows import shortest_window
from src.models.context import length_switch
from src.models.decoder import decoder_of
from src.models.lora import LoraLinear
from src.models.sharding import idle
from src.models.stacking import require_stackable
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.memory import naming


def ignore(parts: int) -> None:
    """The default of `tick` parameters: progress is not reported."""


@dataclass(frozen=True)
class Scorer:
    """Scores prompts and their k responses under a causal language model, at temperature 1.

    Args:
        tokens: the most tokens in one forward pass, padding included; results do not depend on it.
        longest: longest row (tokens) that may share a prompt encoding; 0 disables sharing.
        packed: whether rows with shared prompts are packed into one, without padding. Faster on a CPU, where attention
            prompt by prompt costs nothing extra; on a GPU, rows side by side are faster.
    """

    tokens: int
    longest: int
    packed: bool = False

    def logps(self, model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]) -> Tensor:
        """Summed log-probability of every response, in one forward pass, with gradients where they are enabled.

        Args:
            model: the language model.
            prompts: B prompts, each of at least one token.
            responses: B lists of k responses, of any length.

        Returns:
            (B, k) in nats, float32; 0 for an empty response.
        """
        return self.member_logps(model, 1, prompts, responses)[0]

    def member_logps(
        self, model: PreTrainedModel, members: int, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> Tensor:
        """As `logps`, for all members of an ensemble, which are active in the model (`Policy.learning`).

        Returns:
            (N, B, k) in nats, float32, for N = members.
        """
        layout, states, head = self._forward(model, members, prompts, responses)
        logps = token_logps(states, head, layout.targets.repeat(members)).reshape(members, -1)
        return layout.sums(logps).reshape(members, len(prompts), -1)

    @torch.no_grad()
    def states(
        self, model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> tuple[Tensor, Head]:
        """The hidden states that predict the response tokens, in one forward pass without gradients.

        Args:
            model, prompts, responses: as in `logps`.

        Returns:
            States, (n, d) for the n response tokens, prompt by prompt, and the head they go through. For a model with
            plain rows the states are the model's logits.
        """
        _, states, head = self._forward(model, 1, prompts, responses)
        return states, head.detach()

    def batches(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], members: int = 1) -> list[list[int]]:
        """Splits prompts into forward passes of at most `tokens` tokens; a longer prompt is a pass by itself.

        Args:
            prompts: B prompts.
            responses: B lists of k responses.
            members: members of the ensemble, which are computed in the same pass.

        Returns:
            Indices of the prompts of each pass, sorted by length: those with shared prompts first, then the others.
        """
        batches = []
        for shared in (True, False):
            rows = [i for i, shares in enumerate(map(self.shares, prompts, responses)) if shares == shared]
            lengths = [_lengths(prompts[i], responses[i], shared, members) for i in rows]
            if shared and self.packed:
                parts = packed_batches([sum(both) for both in lengths], self.tokens)
            else:
                parts = padded_batches(lengths, self.tokens)
            batches += [[rows[i] for i in part] for part in parts]
        return batches

    @torch.no_grad()
    def all_logps(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        responses: Sequence[Sequence[Ids]],
        tick: Callable[[int], None] = ignore,
    ) -> Tensor:
        """As `logps`, for any number of prompts, batch by batch and without gradients; processes divide the prompts.

        Args:
            model: the language model.
            prompts: B prompts, each of at least one token.
            responses: B lists of k responses, of any length.
            tick: called after every batch with the number of prompts that this process scored in it.

        Returns:
            (B, k) in nats, float32, on the CPU, the same in all processes.
        """
        k = len(responses[0]) if responses else 2
        out = torch.zeros(len(prompts), k)
        local = processes.local_indices(
            [len(prompt) + sum(map(len, group)) for prompt, group in zip(prompts, responses, strict=True)]
        )
        local_prompts, local_responses = [prompts[i] for i in local], [responses[i] for i in local]
        for batch in signals.interruptible(self.batches(local_prompts, local_responses), partial(idle, model)):
            with naming("model.tokens", self.tokens):
                rows = [local_prompts[i] for i in batch], [local_responses[i] for i in batch]
                logps = self.logps(model, *rows).cpu()
            out[[local[i] for i in batch]] = logps
            tick(len(batch))
        return processes.all_reduce_sum(out)

    def _forward(
        self, model: PreTrainedModel, members: int, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]
    ) -> tuple[Layout, Tensor, Head]:
        """The layout of the n response tokens; the states that predict them, (N n, d), by member; and their head."""
        shared = all(map(self.shares, prompts, responses))
        lay_out = plain_layout if not shared else packed_layout if self.packed else shared_layout
        layout = lay_out(prompts, responses, model.device)
        if not shared:
            return layout, plain_states(model, layout, members), Head(None, None, None)
        # Packed lengths describe one row, and the rows of all members have the same lengths.
        one_mask = self.packed
        inputs = {
            "input_ids": layout.ids.repeat(members, 1),
            "attention_mask": layout.mask if one_mask else layout.mask.repeat(members, *[1] * (layout.mask.dim() - 1)),
            "position_ids": layout.positions.repeat(members, 1),
            "use_cache": False,
        }
        where = layout.where
        if one_mask:
            rows, places = where.unique(return_inverse=True)
            if read := last_layer.reads(model, rows):
                inputs, where = inputs | read, places
        out = decoder_of(model)(**inputs).last_hidden_state
        states = out.reshape(members, -1, out.shape[-1])[:, where].flatten(0, 1)
        return layout, states, Head.of(model)

    def shares(self, prompt: Ids, group: Sequence[Ids]) -> bool:
        """Whether the prompt is encoded once for these k responses (see `longest`)."""
        return len(prompt) + sum(map(len, group)) <= self.longest


def _lengths(prompt: Ids, group: Sequence[Ids], shared: bool, members: int) -> tuple[int, int]:
    """Tokens of a prompt's rows for all members: (prompt, responses) if shared, else (all copies of both, 0)."""
    if shared:
        return members * len(prompt), members * sum(map(len, group))
    return members * len(group) * (len(prompt) + max(map(len, group))), 0


def scorer_for(model: PreTrainedModel, tokens: int, warn: Callable[[str], None]) -> Scorer:
    """A scorer with shared prompts if the model accepts them, else one with plain rows.

    The model is tried on a few rows. Plain rows have to give the log-probabilities of each row by itself; shared
    prompts have to give those of plain rows, in scoring and in decoding, or plain rows are used. How such a model is
    decoded is found here too (`src.inference.plain_choice`).

    Args:
        model: the language model; shared attention stays installed in it if it is accepted.
        tokens: as in `Scorer`.
        warn: called with a sentence if the model has to be scored with plain rows, which is slower.

    Returns:
        The scorer.

    Raises:
        RunError: if plain rows give other log-probabilities than rows by themselves, or members cannot learn together.
    """
    name, plain = type(model).__name__, Scorer(tokens, longest=0)
    installed = install(model)
    window, switch = shortest_window(model), length_switch(model.config)
    trial = trial_of(model, window)
    trial.require(model, lambda: plain.member_logps(model, 1, trial.prompts, trial.responses)[0])
    require_stackable(model, max((len(m.A) for m in model.modules() if isinstance(m, LoraLinear)), default=1))
    slow = choose(model, trial) is UNCACHED
    if installed:
        longest = min(window or 2**62, switch.tokens if switch else 2**62)
        shared = Scorer(tokens, longest, packed=model.device.type == "cpu")
        within = trial.within(longest)
        if within.prompts and _shares(model, shared, plain, within):
            return shared
        uninstall(model)
    why = "gives other log-probabilities if responses share a prompt" if installed else "does not use torch's attention"
    warn(f"{name} {why}: {SLOWER}")
    if slow:
        warn(f"{name} cannot be sampled with a cache: every token computes its whole row again")
    return plain


def _shares(model: PreTrainedModel, shared: Scorer, plain: Scorer, trial: Trial) -> bool:
    """Whether a model with shared attention installed scores and decodes shared prompts as plain rows."""

    def agrees() -> bool:
        try:
            with torch.no_grad():
                ours, expected = (scorer.logps(model, trial.prompts, trial.responses) for scorer in (shared, plain))
            return equal_up_to_rounding(ours, expected, trial.coarse) and decodes(SharedDecoder, model, trial)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # a model may have no decoder below a linear head, or layers that read other masks
            return False

    if shared.packed and last_layer.shorten(model):
        if agrees():
            return True
        last_layer.restore(model)
    return agrees()


SLOWER = "each prompt is encoded again for every response, which nearly doubles the time of a step"
