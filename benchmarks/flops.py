"""The floating-point operations that a learning step cannot do without.

A multiplication and an addition are two. The prompt is encoded once for both responses, their last tokens predict
nothing and are not encoded, logits are made at the places that predict response tokens, attention is causal. There is
no reference pass and nothing is computed twice. Norms, activations and the optimizer are left out: below 1 %.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from benchmarks.material import Pair


@dataclass(frozen=True)
class Shape:
    """What of a model the count depends on.

    Attributes:
        linear: weights of its linear layers, without the head; of dense layers, all of which every token passes.
        adapters: weights of one member's adapters; 0 without.
        layers: of attention.
        attention: heads x their dimension.
        head: hidden size x vocabulary.
    """

    linear: int
    adapters: int
    layers: int
    attention: int
    head: int


def shape_of(model: PreTrainedModel, rank: int | None) -> Shape:
    """The shape of a plain model, adapters of a rank on all of its linear layers to come."""
    config, head = model.config.get_text_config(), model.get_output_embeddings()
    layers = [one for one in model.modules() if isinstance(one, nn.Linear | Conv1D) and one is not head]
    heads = config.num_attention_heads
    dimension = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Shape(
        linear=sum(layer.weight.numel() for layer in layers),
        adapters=(rank or 0) * sum(sum(layer.weight.shape) for layer in layers),
        layers=config.num_hidden_layers,
        attention=heads * dimension,
        head=head.weight.numel(),
    )


def step_flops(shape: Shape, pairs: Iterable[Pair], members: int = 1) -> int:
    """Operations of one step, forward and backward, for all members.

    A trained weight takes part in three products a token (forward, its own gradient, its input's), a frozen one in two,
    an attention score in three passes of two products.
    """
    trained = shape.adapters == 0
    total = 0
    for prompt, *responses in pairs:
        P, behind = len(prompt), [max(len(response) - 1, 0) for response in responses]
        tokens = P + sum(behind)
        looks = P * (P + 1) // 2 + sum(m * P + m * (m + 1) // 2 for m in behind)
        places = sum(map(len, responses))
        total += (6 if trained else 4) * (shape.linear * tokens + shape.head * places)
        total += 6 * shape.adapters * tokens
        total += 3 * 4 * shape.layers * shape.attention * looks
    return members * total
