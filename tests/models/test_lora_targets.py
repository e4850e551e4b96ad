"""Which layers get adapters, and layers that are read instead of called."""

import copy

import pytest
import torch
from torch import nn

from src.models.lora import LoraLinear, attach
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.runtime.errors import RunError
from tests.families import make_tokenizer
from tests.shrunk import tiny
from tests.tiny import tiny_model

LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")


def test_layers_that_share_their_weight_get_no_adapter() -> None:
    """Zamba's attention layers are one: an update of one would be an update of all."""
    model = tiny("zamba")
    policy = Policy(copy.deepcopy(model), make_tokenizer(), "base", LORA)
    assert policy.layers and not any("shared_transf" in name for name in policy.layers)
    with policy.using(policy.mean()) as same, torch.no_grad():
        ids = torch.arange(9)[None]
        torch.testing.assert_close(same(input_ids=ids).logits, model(input_ids=ids).logits)


def test_such_a_target_is_refused_by_name() -> None:
    spec = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets=["o_proj", "up_proj"])
    with pytest.raises(RunError, match=r"adapters on the layers .* called \['up_proj'\] could not be saved"):
        attach(tiny("deepseek_v3"), 1, spec)


def test_a_router_gets_no_adapter() -> None:
    """Llama 4's router is a linear layer whose forward pass gives two tensors."""
    layers = attach(tiny("llama4"), 1, LORA)
    assert layers and not any(name.endswith("router") for name in layers)


def test_a_linear_layer_of_another_class_gets_one() -> None:
    """Falcon's linear layers are a class of their own, which gives W x + b."""
    assert {name.rsplit(".", 1)[-1] for name in attach(tiny("falcon"), 1, LORA)} >= {"query_key_value", "dense"}


def test_a_model_whose_linear_layers_are_all_of_another_kind_is_refused() -> None:
    class Scaled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    model = tiny_model()
    for module in list(model.modules()):
        if type(module) is nn.Linear and module is not model.lm_head:
            module.__class__ = Scaled
    with pytest.raises(RunError, match="no linear layer is called"):
        attach(model, 1, LORA)


def test_a_layer_that_is_read_has_the_weight_that_it_multiplies_by() -> None:
    made, x = LoraLinear(nn.Linear(5, 4), 1, LORA), torch.randn(3, 5)
    assert made.weight is made.base.weight and made.bias is made.base.bias
    assert (made.in_features, made.out_features) == (5, 4)
    with torch.no_grad():
        made.B.normal_()
        made.A.normal_()
    made.active = True
    torch.testing.assert_close(nn.functional.linear(x, made.weight, made.bias), made(x))
    made.weight.sum().backward()
    assert made.A.grad.abs().max() > 0 and made.B.grad.abs().max() > 0


def test_members_of_an_ensemble_have_no_common_weight() -> None:
    made = LoraLinear(nn.Linear(5, 4), 2, LORA)
    assert made.weight is made.base.weight
    made.active = True
    with pytest.raises(RunError, match="expected ensemble=1"):
        _ = made.weight
