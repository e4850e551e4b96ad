"""The output layer of a language model, applied to a chunk of rows at a time.

A batch's logits, (tokens, vocabulary) in float32, would be the largest tensor of a step by far. Here the logits of a
few rows are computed, used and freed.

Logits are in float32 also where the weights are in bfloat16, in the sampler and in the scorer alike: logits rounded to
bfloat16 are off by up to a 256th, which is more than the differences of log-probabilities that a loss is about.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

# The most logits held at a time on a processor: in float32, where small chunks stay in its cache, and in bfloat16,
# where a chunk costs a float32 copy of the head, block by block.
CHUNK, CHUNK_BFLOAT16 = 2**22, 2**24
# On a GPU, where every chunk reads the whole head: this share of its memory. Of all its memory, not of what is free, so
# that the same rows go together in every run.
GPU_SHARE = 1 / 64
# Rows of the head that are float32 at a time on a processor.
BLOCK = 4096


@dataclass(frozen=True)
class Head:
    """The output layer: logits = cap(h W^T + b), where cap(z) = softcap tanh(z / softcap), or z without a softcap.

    Attributes:
        weight: (vocabulary, d); None where the "hidden states" are logits already.
        bias: (vocabulary,) or None.
        softcap: the bound on logits that Gemma 2 has, or None.
    """

    weight: Tensor | None
    bias: Tensor | None
    softcap: float | None

    @staticmethod
    def of(model: PreTrainedModel) -> "Head":
        """The head of a model; it shares the model's tensors."""
        layer, text = model.get_output_embeddings(), model.config.get_text_config(decoder=True)
        return Head(layer.weight, getattr(layer, "bias", None), getattr(text, "final_logit_softcapping", None))

    def detach(self) -> "Head":
        """The same head without gradients; it keeps its weights when other weights are put in the model's place."""
        weight, bias = (None if tensor is None else tensor.detach() for tensor in (self.weight, self.bias))
        return Head(weight, bias, self.softcap)

    @torch.no_grad()
    def logits(self, hidden: Tensor, linear: Callable[..., Tensor] = F.linear) -> Tensor:
        """Logits, without gradients.

        Args:
            hidden: (n, d).
            linear: computes h W^T + b in float32, where weights and states are in float32.

        Returns:
            (n, vocabulary), float32.
        """
        if self.weight is None:
            return hidden.float()
        product = linear if self.weight.dtype == torch.float32 == hidden.dtype else float32_product
        logits = product(hidden, self.weight, self.bias)
        return logits if self.softcap is None else logits.div_(self.softcap).tanh_().mul_(self.softcap)

    def chunks(self, hidden: Tensor) -> Iterator[slice]:
        """Slices of the rows of `hidden`, (n, d), each of as many logits as are held at a time."""
        vocabulary = hidden.shape[1] if self.weight is None else len(self.weight)
        size = max(1, logits_at_once(hidden) // vocabulary)
        return (slice(start, start + size) for start in range(0, len(hidden), size))


def logits_at_once(hidden: Tensor) -> int:
    """The most logits that are held at a time for states like these."""
    if hidden.is_cuda:
        return int(torch.cuda.get_device_properties(hidden.device).total_memory * GPU_SHARE) // 4
    return CHUNK if hidden.dtype == torch.float32 else CHUNK_BFLOAT16


def float32_product(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """h W^T + b in float32, of weights in lower precision and without a float32 copy of all of them.

    Args:
        hidden: (n, d).
        weight: (vocabulary, d).
        bias: (vocabulary,) or None.

    Returns:
        (n, vocabulary), float32: products of the rounded numbers, added up and kept in float32.
    """
    if hidden.is_cuda:
        # out_dtype exists on CUDA only, for two matrices of one type.
        out = torch.mm(hidden.to(weight.dtype), weight.T, out_dtype=torch.float32)
    else:
        exact = hidden.float()
        out = torch.empty(len(hidden), len(weight))
        for start in range(0, len(weight), BLOCK):
            torch.mm(exact, weight[start : start + BLOCK].float().T, out=out[:, start : start + BLOCK])
    return out if bias is None else out.add_(bias)


def token_logps(hidden: Tensor, head: Head, targets: Tensor) -> Tensor:
    """Log-probability of each target token. Differentiable in hidden, weight and bias.

    Args:
        hidden: the states that predict the targets; (n, d).
        head: the head that the states go through.
        targets: token ids; (n,).

    Returns:
        (n,) in nats, float32.
    """
    if head.weight is None:
        return -F.cross_entropy(hidden.float(), targets, reduction="none")
    logps: Tensor = _TokenLogps.apply(hidden, head.weight, head.bias, targets, head.softcap)
    return logps


class _TokenLogps(torch.autograd.Function):
    """Log-probabilities whose logits are not kept for the backward pass.

    With a frozen head, d logp / d hidden = W[target] - sum_v p_v W_v is computed in the forward pass, and the backward
    pass needs no logits. With a trained head, the backward pass computes the logits again.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, softcap: float | None
    ) -> Tensor:
        head = Head(weight, bias, softcap)
        out = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        frozen = not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2])
        slope = torch.empty_like(hidden) if frozen and ctx.needs_input_grad[0] else None
        for rows in head.chunks(hidden):
            logits = head.logits(hidden[rows])
            picked = logits.gather(1, targets[rows, None])
            lse = logits.logsumexp(1, keepdim=True)
            out[rows] = (picked - lse).squeeze(1)
            if slope is not None:
                slope[rows] = _towards(logits, lse, targets[rows], softcap).to(hidden.dtype) @ weight
        ctx.frozen, ctx.softcap = frozen, softcap
        ctx.save_for_backward(*((slope,) if frozen else (hidden, weight, bias, targets)))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        if ctx.frozen:
            (slope,) = ctx.saved_tensors
            return (None if slope is None else slope * grad[:, None].to(slope.dtype)), None, None, None, None
        hidden, weight, bias, targets = ctx.saved_tensors
        head = Head(weight, bias, ctx.softcap)
        into_hidden, into_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        into_bias = None if bias is None else torch.zeros_like(bias)
        for rows in head.chunks(hidden):
            logits = head.logits(hidden[rows])
            slope = _towards(logits, logits.logsumexp(1, keepdim=True), targets[rows], ctx.softcap)
            slope = slope.mul_(grad[rows, None]).to(hidden.dtype)
            into_hidden[rows] = slope @ weight
            into_weight.addmm_(slope.T, hidden[rows])
            if into_bias is not None:
                into_bias += slope.sum(0)
        return into_hidden, into_weight, into_bias, None, None


def _towards(logits: Tensor, lse: Tensor, targets: Tensor, softcap: float | None) -> Tensor:
    """d logp / d (h W^T + b): onehot(target) - p, times the slope of the cap; (n, vocabulary). Overwrites `logits`."""
    slope = None if softcap is None else 1 - (logits / softcap).square()
    direction = logits.sub_(lse).exp_().neg_()
    direction.scatter_add_(1, targets[:, None], torch.ones_like(direction[:, :1]))
    return direction if slope is None else direction.mul_(slope)


def kl_divergence(ours: tuple[Tensor, Head], theirs: tuple[Tensor, Head]) -> Tensor:
    """KL(ours || theirs) of next-token distributions at n positions, without gradients.

    Args:
        ours, theirs: hidden states, (n, d), and the head they go through.

    Returns:
        (n,) in nats, float32.
    """
    (hidden, head), (other_hidden, other_head) = ours, theirs
    out = torch.empty(len(hidden), device=hidden.device)
    for rows in head.chunks(hidden):
        logps = head.logits(hidden[rows]).log_softmax(-1)
        others = other_head.logits(other_hidden[rows]).log_softmax(-1)
        out[rows] = (logps.exp() * (logps - others)).sum(-1)
    return out
