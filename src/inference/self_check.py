"""What a model says about rows by themselves, and whether a way of scoring or decoding says the same.

The rows by themselves are computed as transformers does by default: one row, no padding, no mask, no positions, no
cache. Every faster way is compared with them when a model is loaded.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference.decoding import Decoder
from src.models.context import length_switch, position_limit
from src.records import Ids
from src.runtime.errors import RunError, error_summary

# Tokens of a prompt, and of its two responses.
LENGTHS = ((1, (2, 1)), (2, (1, 5)), (4, (4, 2)), (5, (4, 3)), (9, (7, 1)), (21, (2, 12)))
BEYOND = (4, 3)
# Rows longer than this are not tried: a window is exceeded only if it is shorter.
MOST_TOKENS = 2100


@dataclass(frozen=True)
class Trial:
    """Rows of random tokens with their log-probabilities.

    Attributes:
        prompts: B prompts.
        responses: B lists of two responses.
        logps: of each response, from its row by itself; (B, 2), float32.
        coarse: whether the weights are 16 bits wide, so that ways differ by more than float32's rounding.
    """

    prompts: list[Ids]
    responses: list[list[Ids]]
    logps: Tensor
    coarse: bool

    def within(self, longest: int) -> "Trial":
        """The prompts that have at most so many tokens together with their responses."""
        fits = [
            len(prompt) + sum(map(len, group)) <= longest
            for prompt, group in zip(self.prompts, self.responses, strict=True)
        ]
        chosen = [i for i, kept in enumerate(fits) if kept]
        prompts, responses = [self.prompts[i] for i in chosen], [self.responses[i] for i in chosen]
        return Trial(prompts, responses, self.logps[chosen], self.coarse)

    def agrees(self, logps: Tensor) -> bool:
        """Whether log-probabilities, (B, 2), equal those of rows by themselves up to rounding."""
        return equal_up_to_rounding(logps, self.logps, self.coarse)

    def require(self, model: PreTrainedModel, plain_logps: Callable[[], Tensor]) -> None:
        """Refuses a model whose padded rows are scored differently from rows by themselves.

        Args:
            model: the model of these rows.
            plain_logps: scores them in one batch; (B, 2).

        Raises:
            RunError: if it fails, or differs by more than rounding.
        """
        name = type(model).__name__
        try:
            with torch.no_grad():
                off = (plain_logps() - self.logps).abs()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise RunError(f"{name} takes no batch of padded rows ({error_summary(error)})") from error
        # With 16-bit weights, a mixture of experts may choose others for a token whose scores nearly tie.
        allowed = 1.0 + 0.1 * self.logps.abs() if self.coarse else 1e-3 + 1e-4 * self.logps.abs()
        if not bool((off <= allowed).all()):
            raise RunError(
                f"{name} scores a batch of padded rows differently from each row by itself (by up to {off.max():.2g} "
                "nats); expected the same log-probabilities; give another model: model.path=DIR"
            )


def equal_up_to_rounding(ours: Tensor, expected: Tensor, coarse: bool) -> bool:
    """Whether two tensors of log-probabilities are equal up to rounding."""
    return torch.allclose(ours, expected, rtol=3e-2 if coarse else 1e-4, atol=0.2 if coarse else 1e-3)


@torch.no_grad()
def trial_of(model: PreTrainedModel, window: int | None) -> Trial:
    """Makes rows, longer than the window too, and computes each by itself.

    Args:
        model: the language model.
        window: the longest row in which a token attends to all before it; None without a limit.

    Returns:
        The rows; the same ones for every model of a vocabulary.

    Raises:
        RunError: if the model cannot compute a row, or is not causal: if the prediction of a token depends on what
            follows.
    """
    name = type(model).__name__
    generator = torch.Generator().manual_seed(0)
    top = min(model.config.get_text_config(decoder=True).vocab_size, 1000)

    def some(length: int) -> Ids:
        return tuple(torch.randint(top, (length,), generator=generator).tolist())

    lengths = _lengths(model, window)
    prompts = [some(length) for length, _ in lengths]
    responses = [[some(length) for length in group] for _, group in lengths]
    logps = []
    for prompt, group in zip(prompts, responses, strict=True):
        try:
            tables = [_alone(model, (*prompt, *response), len(response) + 1) for response in group]
            first = _alone(model, prompt, 1)[-1]
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise RunError(f"{name} computes no row of {len(prompt)} tokens ({error_summary(error)})") from error
        if not _causal(first, tables[0][0], logps_differ_by=0.3 if _coarse(model) else 2e-3):
            raise RunError(
                f"{name} is no causal language model as configured: its prediction of a token of a row of "
                f"{len(prompt) + len(group[0])} tokens depends on the tokens that follow (is_decoder=false, or a "
                "selection among all tokens of the row); expected a model whose predictions depend on earlier tokens "
                "alone; give another one: model.path=DIR"
            )
        logps.append([_picked(table, response) for table, response in zip(tables, group, strict=True)])
    return Trial(prompts, responses, torch.tensor(logps, device=model.device), _coarse(model))


def _lengths(model: PreTrainedModel, window: int | None) -> list[tuple[int, tuple[int, int]]]:
    """The lengths to try, within the model's limits, beyond its window, and on both sides of its length switch."""
    limit, switch = position_limit(model), length_switch(model.config)
    found = [*LENGTHS]
    edges = [window, switch.tokens if switch else None]
    found += [(edge + 3, BEYOND) for edge in edges if edge is not None]

    def possible(prompt: int, new: int) -> bool:
        if prompt + new > min(limit or MOST_TOKENS, MOST_TOKENS):
            return False
        if switch is None or prompt + new <= switch.tokens:
            return True
        return switch.kind == "longrope" and prompt > switch.tokens

    return [(prompt, group) for prompt, group in found if possible(prompt, max(group))]


def _alone(model: PreTrainedModel, row: Ids, last: int) -> Tensor:
    """Log-probabilities of the next token after each of the last tokens of a row: (last, vocabulary), float32."""
    few = {"logits_to_keep": last} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    logits = model(input_ids=torch.tensor([row], device=model.device), use_cache=False, **few).logits[0, -last:]
    return logits.float().log_softmax(-1)


def _causal(before: Tensor, within: Tensor, logps_differ_by: float) -> bool:
    """Whether two predictions of one token, without and with the tokens that follow, are the same."""
    return bool((before - within).abs().mean() <= logps_differ_by)


def _picked(table: Tensor, response: Ids) -> float:
    """Log-probability of a response from the predictions at its tokens, (1 + length, vocabulary)."""
    targets = torch.tensor(response, device=table.device)
    return table[:-1].gather(1, targets[:, None]).sum().item()


def _coarse(model: PreTrainedModel) -> bool:
    return model.dtype in (torch.bfloat16, torch.float16)


@torch.no_grad()
def decoded_logps(
    make: Callable[[PreTrainedModel, Sequence[Ids], int], Decoder], model: PreTrainedModel, trial: Trial
) -> Tensor:
    """Log-probabilities of given responses from a decoder, which writes them token by token; finished rows leave.

    Args:
        make: makes the decoder.
        model: the language model.
        trial: the prompts and responses.

    Returns:
        (B, 2), float32.
    """
    decoder = make(model, trial.prompts, 2)
    responses = [response for group in trial.responses for response in group]
    sums = torch.zeros(len(responses), device=model.device)
    rows = torch.arange(len(responses), device=model.device)
    for place in range(max(map(len, responses))):
        left = torch.tensor([len(responses[row]) > place for row in rows.tolist()], device=model.device)
        if not left.all():
            rows = rows[left]
            decoder.keep(left.nonzero().squeeze(1))
        if place:
            decoder.step(torch.tensor([responses[row][place - 1] for row in rows.tolist()], device=model.device))
        targets = torch.tensor([responses[row][place] for row in rows.tolist()], device=model.device)
        sums[rows] += decoder.logits.float().log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    return sums.reshape(-1, 2)
