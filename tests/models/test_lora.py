import math

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from src.models.lora import LoraLinear, attach
from src.models.spec import LoraSpec
from src.runtime.errors import RunError
from tests.tiny import tiny_model

SPEC = LoraSpec(rank=2, alpha=6.0, dropout=0.0, targets=["q_proj"])  # scale 3
IN, OUT = 5, 4


def layer(members: int, spec: LoraSpec = SPEC, bias: bool = True) -> LoraLinear:
    torch.manual_seed(0)
    made = LoraLinear(nn.Linear(IN, OUT, bias=bias), members, spec)
    with torch.no_grad():
        made.A.normal_()
        made.B.normal_()
    return made


def test_starts_as_the_frozen_layer():
    made = layer(3)
    made.initialize(torch.Generator().manual_seed(0))
    assert made.B.abs().max() == 0
    bound = 1 / math.sqrt(IN)
    assert made.A.abs().max() <= bound and made.A.abs().max() > 0.8 * bound
    # Members that start alike would stay alike.
    assert not torch.equal(made.A[0], made.A[1])


def test_no_member_is_the_frozen_layer_alone():
    made, x = layer(2), torch.randn(6, IN)
    assert torch.equal(made(x), made.base(x))


@pytest.mark.parametrize("shape", [(6, IN), (6, 7, IN), (3, 2, 7, IN)])
def test_a_member_adds_its_own_update_to_its_part_of_the_rows(shape):
    made, x = layer(3), torch.randn(shape)
    made.active = True
    y, plain = made(x), made.base(x)
    part = len(x) // 3
    for member in range(3):
        rows = slice(member * part, (member + 1) * part)
        update = 3.0 * made.B[member] @ made.A[member]
        torch.testing.assert_close(y[rows], plain[rows] + x[rows] @ update.T)


def test_a_member_gets_no_gradient_from_the_rows_of_others():
    made = layer(3)
    made.active = True
    made(torch.randn(6, IN))[2:4].square().sum().backward()
    assert made.base.weight.grad is None and made.base.bias.grad is None
    for parameter in (made.A, made.B):
        norms = parameter.grad.flatten(1).norm(dim=1)
        assert norms[1] > 0 and norms[0] == norms[2] == 0


@pytest.mark.parametrize("members", [1, 3])
def test_the_mean_is_that_of_the_members_updates(members):
    made = layer(members)
    updates = [3.0 * made.B[member] @ made.A[member] for member in range(members)]
    torch.testing.assert_close(made.mean_weight(), made.base.weight + sum(updates) / members)
    assert not made.mean_weight().requires_grad


def test_the_mean_is_not_the_product_of_mean_factors():
    made = layer(3)
    product = made.base.weight + 3.0 * made.B.mean(0) @ made.A.mean(0)
    assert (made.mean_weight() - product).norm() > 0.1 * (made.mean_weight() - made.base.weight).norm()


def test_dropout_is_on_the_adapters_input_alone():
    spec = LoraSpec(rank=2, alpha=6.0, dropout=0.5, targets=["q_proj"])
    made, x = layer(1, spec), torch.randn(50, IN)
    made.active = True
    made.dropout.train()
    torch.manual_seed(0)
    dropped = made(x)
    torch.manual_seed(0)
    kept = nn.functional.dropout(x, 0.5)
    torch.testing.assert_close(dropped, made.base(x) + 3.0 * kept @ made.A[0].T @ made.B[0].T)
    made.dropout.eval()
    torch.testing.assert_close(made(x), made.base(x) + 3.0 * x @ made.A[0].T @ made.B[0].T)


def test_attached_layers_are_the_targets_and_all_else_is_frozen():
    model = tiny_model()
    layers = attach(model, 2, LoraSpec(rank=2, alpha=6.0, dropout=0.0, targets=["q_proj", "down_proj"]))
    assert sorted(layers) == sorted(
        f"model.layers.{n}.{name}" for n in range(2) for name in ("self_attn.q_proj", "mlp.down_proj")
    )
    assert all(model.get_submodule(name) is made for name, made in layers.items())
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable == {f"{name}.{factor}" for name in layers for factor in "AB"}


@pytest.mark.parametrize("tied", [True, False])
def test_all_linear_leaves_the_head_out(tied):
    layers = attach(tiny_model(tie_word_embeddings=tied), 1, LoraSpec(2, 6.0, 0.0, "all-linear"))
    kinds = {name.rsplit(".", 1)[-1] for name in layers}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(layers) == 14


@pytest.mark.parametrize("targets", [["nothing_proj"], ["q_proj", "nothing_proj"], ["lm_head"]])
def test_unknown_targets_are_refused_with_those_there_are(targets):
    model = tiny_model(tie_word_embeddings=False)
    with pytest.raises(RunError, match=rf"no linear layer is called \['{targets[-1]}'\].*'q_proj'"):
        attach(model, 1, LoraSpec(2, 6.0, 0.0, targets))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 6.0, 0.0, "all-linear"), "rank=0"),
        ((2, 0.0, 0.0, "all-linear"), "alpha=0.0"),
        ((2, 6.0, 1.0, "all-linear"), "dropout=1.0"),
        ((2, 6.0, 0.0, "q_proj"), "targets=q_proj"),
        ((2, 6.0, 0.0, []), r"targets=\[\]"),
    ],
)
def test_bad_shapes_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        LoraSpec(*arguments)


def test_gpt2s_layers_are_the_linear_layers_of_the_transposed_weight():
    torch.manual_seed(0)
    conv, linear = Conv1D(OUT, IN), nn.Linear(IN, OUT)
    with torch.no_grad():
        conv.bias.normal_()
        linear.weight.copy_(conv.weight.T), linear.bias.copy_(conv.bias)
    made, other = (LoraLinear(base, 2, SPEC) for base in (conv, linear))
    x = torch.randn(6, IN)
    for one in (made, other):
        one.initialize(torch.Generator().manual_seed(1))
        nn.init.constant_(one.B, 0.5)
        one.active = True
    assert made.A.shape == (2, 2, IN) and made.B.shape == (2, OUT, 2)
    torch.testing.assert_close(made(x), other(x))
    torch.testing.assert_close(made.mean_weight(), other.mean_weight().T)


def bfloat16_layer() -> LoraLinear:
    made = layer(2)
    made.base.to(torch.bfloat16)
    return made


def test_adapters_of_a_bfloat16_layer_are_float32_and_so_are_their_gradients():
    made, x = bfloat16_layer(), torch.randn(6, IN, dtype=torch.bfloat16)
    made.active = True
    y = made(x)
    assert y.dtype == torch.bfloat16
    updates = [3.0 * rows @ made.A[member].T @ made.B[member].T for member, rows in enumerate(x.float().chunk(2))]
    exact = made.base(x).float() + torch.cat(updates)
    torch.testing.assert_close(y.float(), exact, rtol=0.03, atol=0.1)
    y.square().sum().backward()
    for parameter in (made.A, made.B):
        assert parameter.dtype == parameter.grad.dtype == torch.float32
    # Steps far smaller than bfloat16 can tell from the weights add up.
    before = made.A.detach().clone()
    with torch.no_grad():
        for _ in range(100):
            made.A.add_(1e-5)
    torch.testing.assert_close(made.A - before, torch.full_like(before, 1e-3), rtol=0.02, atol=0)


def test_an_update_is_folded_in_float32_and_rounded_once():
    made = bfloat16_layer()
    updates = [3.0 * made.B[member] @ made.A[member] for member in range(2)]
    exact = made.base.weight.float() + sum(updates) / 2
    assert torch.equal(made.mean_weight(), exact.to(torch.bfloat16))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapters_attached_to_a_model_of_either_type_are_float32(dtype):
    model = tiny_model().to(getattr(torch, dtype))
    layers = attach(model, 2, LoraSpec(2, 6.0, 0.0, "all-linear"))
    assert {p.dtype for made in layers.values() for p in (made.A, made.B)} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {getattr(torch, dtype)}
