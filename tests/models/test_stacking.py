"""Which models can compute the members of an ensemble in one pass."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from src.inference.scorer import scorer_for
from src.models.lora import attach
from src.models.spec import LoraSpec
from src.models.stacking import require_stackable
from src.runtime.errors import RunError
from tests.shrunk import tiny
from tests.tiny import tiny_gpt2, tiny_model

LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
def test_usual_models_can(make: Callable[[], nn.Module]) -> None:
    model = make()
    attach(model, 2, LORA)
    require_stackable(model, 2)


def test_a_model_that_reads_a_weight_cannot() -> None:
    model = tiny("mamba")
    attach(model, 2, LORA)
    with pytest.raises(RunError, match=r"ensemble=2: the layer .*dt_proj of MambaForCausalLM .* expected ensemble=1"):
        scorer_for(model, 100, lambda _: None)
    require_stackable(model, 1)


class Gathering(nn.Module):
    """An expert that computes some of the tokens, or tokens in another order."""

    def __init__(self, mlp: nn.Module, order: str) -> None:
        super().__init__()
        self.mlp, self.order = mlp, order

    def forward(self, x: Tensor) -> Tensor:
        if self.order == "sequences first":
            return self.mlp(x.transpose(0, 1)).transpose(0, 1)
        chosen = x.sum(-1) > 0
        out = torch.zeros_like(x)
        out[chosen] = self.mlp(x[chosen])
        return out


@pytest.mark.parametrize("order", ["sequences first", "some"])
def test_a_model_that_mixes_the_rows_of_members_cannot(order: str) -> None:
    model = tiny_model()
    model.model.layers[1].mlp = Gathering(model.model.layers[1].mlp, order)
    attach(model, 2, LORA)
    with pytest.raises(RunError, match=r"the layer model.layers.1.mlp.mlp.\w+ of LlamaForCausalLM does not see"):
        require_stackable(model, 2)
