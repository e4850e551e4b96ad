"""The floating-point operations that a learning step cannot do without.

A multiplication and an addition are two operations. The prompt is encoded once for both responses; the last token of a
response predicts nothing and is not encoded; logits are computed only where response tokens are predicted; attention is
causal. No reference pass, and nothing is computed twice. Norms, activations and the optimizer, below 1 %, are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from benchmarks.material import Pair


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that the count depends on.

    Attributes:
        linear: weights of all linear layers except the head; layers are dense, so every token passes all of them.
        adapters: weights of one member's adapters; 0 where all weights are trained.
        layers: number of attention layers.
        attention: heads x head dimension.
        head: hidden size x vocabulary.
    """

    linear: int
    adapters: int
    layers: int
    attention: int
    head: int


def shape_of(model: PreTrainedModel, rank: int | None) -> Shape:
    """The shape of a loaded model without adapters.

    Args:
        rank: LoRA rank of the adapters that will be put on all linear layers; None: all weights are trained.
    """
    config, head = model.config.get_text_config(), model.get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D) and module is not head]
    heads = config.num_attention_heads
    dimension = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Shape(
        linear=sum(layer.weight.numel() for layer in linear),
        adapters=(rank or 0) * sum(sum(layer.weight.shape) for layer in linear),
        layers=config.num_hidden_layers,
        attention=heads * dimension,
        head=head.weight.numel(),
    )


def attention_scores(prompt: int, responses: Sequence[int]) -> int:
    """Causal attention scores of a head over a prompt and its responses, each without its last token.

    Args:
        prompt: tokens of the prompt, encoded once.
        responses: tokens of each response, which attends to the prompt and to itself.
    """
    behind = [max(tokens - 1, 0) for tokens in responses]
    return prompt * (prompt + 1) // 2 + sum(m * prompt + m * (m + 1) // 2 for m in behind)


def step_flops(shape: Shape, pairs: Iterable[Pair], members: int = 1) -> int:
    """Operations of one step, forward and backward, of all members.

    A trained weight takes part in three products per token (forward, gradient of the weight, gradient of the input), a
    frozen weight in two. An attention score takes part in two products forward and four backward.
    """
    trained = shape.adapters == 0
    total = 0
    for prompt, *responses in pairs:
        lengths = [len(response) for response in responses]
        tokens = len(prompt) + sum(max(length - 1, 0) for length in lengths)
        total += (6 if trained else 4) * (shape.linear * tokens + shape.head * sum(lengths))
        total += 6 * shape.adapters * tokens
        total += 3 * 4 * shape.layers * shape.attention * attention_scores(len(prompt), lengths)
    return members * total
