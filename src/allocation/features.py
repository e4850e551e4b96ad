"""Gradient features: d log pi(y|x) / d theta of each response, as a CountSketch.

The gradient of a layer's weight is the product of the layer's input and the gradient of the layer's output, summed over
tokens. Backpropagation has both, so the product is sketched and dropped layer by layer, and no weight gets a gradient.

A prompt is encoded once for its k responses, but its part of the gradient differs between responses. Backpropagation
therefore stops at the prompt's cached keys and values, where every response has a row of its own, and then runs through
the prompts once per response index j = 1 .. k. A model that cannot share a prompt (`src.inference.scorer`) takes the
plain way, a row of prompt and response each; tests hold the two ways to each other.

theta is what training changes: with adapters A and B of every member, concatenated, at their current values (the
behavior policy is the mean of these members); without adapters the weights of the linear layers, but not embeddings,
the head (often the same matrix), norms and biases.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.allocation.sketch import CountSketch
from src.inference.lm_head import Head, token_logps
from src.inference.scorer import Scorer, ignore
from src.models.decoder import decoder_of
from src.models.lora import LoraLinear
from src.models.policy import Policy
from src.records import Ids
from src.runtime.memory import naming


def gradient_sketches(
    policy: Policy,
    scorer: Scorer,
    prompts: Sequence[Ids],
    responses: Sequence[Sequence[Ids]],
    sketch: CountSketch,
    tick: Callable[[int], None] = ignore,
) -> list[Tensor]:
    """The sketched gradient of the summed log-probability of every response.

    Weights, gradients, random streams and modes of the policy are left as they were. Gradient checkpointing is off.

    Args:
        prompts: n prompts.
        responses: n lists of k responses; k may differ.
        tick: hears of the number of responses done.

    Returns:
        The sketches of each prompt's responses, (k, size), float32, on the CPU.
    """
    # One tensor, allocated before the passes, so that the sketches do not fragment the memory of their buffers.
    sketches = torch.zeros(sum(map(len, responses)), sketch.size).split([len(group) for group in responses])
    with ExitStack() as stack:
        stack.enter_context(_evaluating(policy.model))
        stack.enter_context(policy.learning(recompute=False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_frozen(policy.model))
        stack.enter_context(naming("model.tokens", scorer.tokens))
        watch = stack.enter_context(_watching(policy, sketch))
        for k in sorted({len(group) for group in responses} - {0}):
            alike = [i for i, group in enumerate(responses) if len(group) == k]
            for batch in scorer.batches([prompts[i] for i in alike], [responses[i] for i in alike], policy.members):
                indices = [alike[i] for i in batch]
                asked, given = [prompts[i] for i in indices], [responses[i] for i in indices]
                sums = sketch.empty(len(indices) * k, policy.device)
                # A prompt of one token has no token before the one that predicts the responses.
                if all(map(scorer.shares, asked, given)) and min(map(len, asked)) > 1:
                    _shared(policy, asked, given, sums, watch)
                else:
                    _plain(policy, scorer, asked, given, sums, watch)
                for index, rows in zip(indices, sketch.of(sums).cpu().split(k), strict=True):
                    sketches[index].copy_(rows)
                tick(len(indices) * k)
    return list(sketches)


def sketched_layers(policy: Policy) -> dict[str, nn.Module]:
    """Name -> layer, of all layers whose gradients are sketched."""
    if policy.layers:
        return dict(policy.layers)
    head = policy.model.get_output_embeddings()
    return {
        name: layer
        for name, layer in policy.model.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    }


class _Watch:
    """Where the hooks add gradients: `sums` has a row for each row of the pass."""

    sums: Tensor


def _plain(
    policy: Policy,
    scorer: Scorer,
    prompts: list[Ids],
    responses: list[Sequence[Ids]],
    sums: Tensor,
    watch: _Watch,
) -> None:
    watch.sums = sums
    copies = [prompt for prompt, group in zip(prompts, responses, strict=True) for _ in group]
    rows = [(response,) for group in responses for response in group]
    scorer.member_logps(policy.model, policy.members, copies, rows).sum().backward()


def _shared(policy: Policy, prompts: list[Ids], responses: list[Sequence[Ids]], sums: Tensor, watch: _Watch) -> None:
    model, members, device = policy.model, policy.members, policy.device
    k = len(responses[0])
    # The prompt's last token predicts the first token of a response, so it belongs to the responses' rows.
    ids, mask = _padded([prompt[:-1] for prompt in prompts], device)
    cache = DynamicCache(config=model.config)
    decoder_of(model)(
        input_ids=ids.repeat(members, 1), attention_mask=mask.repeat(members, 1), past_key_values=cache, use_cache=True
    )
    prompt_states: list[Tensor] = []  # (N B, heads, P, d) each
    for layer in cache.layers:
        prompt_states += [layer.keys, layer.values]  # type: ignore[union-attr, list-item]
    cut = [tensor.detach().repeat_interleave(k, 0).requires_grad_() for tensor in prompt_states]  # (N B k, ...)
    copy = DynamicCache(config=model.config)
    for number in range(len(cut) // 2):
        copy.update(cut[2 * number], cut[2 * number + 1], number)

    flat = [response for group in responses for response in group]
    last = [prompt[-1:] for prompt, group in zip(prompts, responses, strict=True) for _ in group]
    behind, own_mask = _padded([(*token, *response[:-1]) for token, response in zip(last, flat, strict=True)], device)
    targets, in_response = _padded(flat, device)
    starts = mask.sum(1).repeat_interleave(k)
    states = decoder_of(model)(
        input_ids=behind.repeat(members, 1),
        attention_mask=torch.cat([mask.repeat_interleave(k, 0), own_mask], 1).repeat(members, 1),
        position_ids=(starts[:, None] + torch.arange(behind.shape[1], device=device)).repeat(members, 1),
        past_key_values=copy,
        use_cache=True,
    ).last_hidden_state
    in_rows = in_response.bool().repeat(members, 1)
    watch.sums = sums
    token_logps(states[in_rows], Head.of(model), targets.repeat(members, 1)[in_rows]).sum().backward()

    slopes = [tensor.grad.unflatten(0, (-1, k)) for tensor in cut]  # type: ignore[union-attr]
    for j in range(k):
        watch.sums = sums.unflatten(0, (-1, k))[:, j]
        torch.autograd.backward(prompt_states, [slope[:, j] for slope in slopes], retain_graph=j < k - 1)


def _padded(rows: Sequence[Ids], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask, (rows, longest), padded on the right."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, (torch.arange(longest, device=device) < lengths[:, None]).long()


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _frozen(model: PreTrainedModel) -> Iterator[None]:
    """No weight gets a gradient. Gradients start at the embeddings, so that every layer is passed."""
    learning = [p for p in model.parameters() if p.requires_grad]
    hook = model.get_input_embeddings().register_forward_hook(lambda _, __, output: output.requires_grad_())
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        hook.remove()
        for parameter in learning:
            parameter.requires_grad_(True)


@contextmanager
def _watching(policy: Policy, sketch: CountSketch) -> Iterator[_Watch]:
    """Sketches every layer's gradient, row by row, during the backward pass."""
    watch = _Watch()

    def of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def forward(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x = inputs[0].detach()

            def backward(g: Tensor) -> None:
                for part, left, right in _factors(layer, policy.members, x.float(), g.float()):
                    sketch.add(watch.sums, f"{name}.{part}", left, right)

            output.register_hook(backward)

        return forward

    handles = [layer.register_forward_hook(of(name)) for name, layer in sketched_layers(policy).items()]
    try:
        yield watch
    finally:
        for handle in handles:
            handle.remove()


def _factors(layer: nn.Module, members: int, x: Tensor, g: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The gradients of a layer's parameters, row by row, as two factors to be multiplied and summed over tokens.

    Args:
        x: the layer's input, (members * rows, t, in).
        g: gradient of the layer's output, (members * rows, t, out).

    Yields:
        Name of the parameter, left factor (rows, t, o), right factor (rows, t, i).
    """
    if not isinstance(layer, LoraLinear):
        yield "weight", g, x
        return
    for member, (ours, slope) in enumerate(zip(x.chunk(members), g.chunk(members), strict=True)):
        A, B = layer.A[member].detach(), layer.B[member].detach()
        yield f"A.{member}", layer.scale * slope @ B, ours
        yield f"B.{member}", layer.scale * slope, ours @ A.T
