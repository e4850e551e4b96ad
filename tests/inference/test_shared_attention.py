"""The attention by itself; tests/inference/test_scorer.py has it in models."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from src.inference.shared_attention import NAME, attend, install, uninstall
from tests.tiny import tiny_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_rows_attend_in_float32_and_answer_in_the_type_of_the_model(dtype):
    """Equal to the bit to attention over the same numbers in float32, rounded once at the end."""
    lengths = torch.tensor([[[[5, 3, 2], [1, 4, 0]]]])
    generator = torch.Generator().manual_seed(0)
    rounded = [torch.randn(2, heads, 15, 8, generator=generator).to(dtype) for heads in (4, 2, 2)]
    grad = torch.randn(2, 15, 4, 8, generator=generator).to(dtype)
    found = []
    for precision in (dtype, torch.float32):
        query, key, value = (tensor.to(precision, copy=True).requires_grad_() for tensor in rounded)
        out, _ = attend(nn.Module(), query, key, value, lengths)
        assert out.dtype == precision
        out.backward(grad.to(precision))
        found.append([out, query.grad, key.grad, value.grad])
    for ours, exact in zip(*found, strict=True):
        assert torch.equal(ours, exact.to(dtype))


@pytest.mark.parametrize("scaling", [None, 0.3])
def test_every_layout_gives_what_one_full_mask_gives(scaling):
    """Prompts of 4 and 2 tokens with responses of 2 and 3, and of 1 and 0: padded to rows of 9, and packed in one."""
    prompts, responses = (4, 2), ((2, 3), (1, 0))
    generator = torch.Generator().manual_seed(0)
    rows = [[torch.randn(1, heads, n, 8, generator=generator) for heads in (4, 2, 2)] for n in (4 + 2 + 3, 2 + 1)]
    expected = []
    for prompt, lengths, (query, key, value) in zip(prompts, responses, rows, strict=True):
        owner = [0] * prompt + [number for number, n in enumerate(lengths, 1) for _ in range(n)]
        mask = torch.tensor(
            [[j <= i and (owner[j] in (0, owner[i])) for j in range(len(owner))] for i in range(len(owner))]
        )
        key, value = (tensor.repeat_interleave(2, 1) for tensor in (key, value))
        expected.append(scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling).transpose(1, 2))
    packed = [torch.cat(tensors, dim=2) for tensors in zip(*rows, strict=True)]
    lengths = torch.tensor([[[[4, 2, 3], [2, 1, 0]]]])
    out, _ = attend(nn.Module(), *packed, lengths, scaling=scaling)
    torch.testing.assert_close(out, torch.cat(expected, dim=1))
    [first, *_], P, S = rows, 4, 5
    mask = torch.zeros(1, 1, S, P + S, dtype=torch.bool)
    mask[..., :P] = True
    mask[..., :2, P : P + 2] = torch.ones(2, 2).tril().bool()
    mask[..., 2:, P + 2 :] = torch.ones(3, 3).tril().bool()
    out, _ = attend(nn.Module(), *first, mask, scaling=scaling)
    torch.testing.assert_close(out, expected[0])


def test_it_is_installed_in_models_that_use_torchs_attention_and_can_be_removed():
    model = tiny_model()
    assert install(model) and install(model)
    assert model.config._attn_implementation == NAME
    uninstall(model)
    assert model.config._attn_implementation == "sdpa"
    model.set_attn_implementation("eager")
    assert not install(model)
    assert model.config._attn_implementation == "eager"
