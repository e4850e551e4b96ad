import pytest
import torch
from torch import nn

from tests.models.policies import IDS, full_policy, lora_policy


@pytest.mark.parametrize("max_norm", [0.05, 1.0, 1e6])
@pytest.mark.parametrize("members", [1, 3])
def test_each_member_is_clipped_by_its_own_norm(members, max_norm):
    policy = lora_policy(members)
    generator = torch.Generator().manual_seed(0)
    expected: list[list[nn.Parameter]] = [[] for _ in range(members)]
    # Member 0's gradients are tiny and the last one's large, so a common norm would clip them wrongly.
    for parameter in policy.trainable().values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        parameter.grad *= (0.001 * 50.0 ** torch.arange(members)).reshape(-1, 1, 1)
        for member, alone in enumerate(expected):
            alone.append(nn.Parameter(parameter[member].detach().clone()))
            alone[-1].grad = parameter.grad[member].clone()
    norms = [nn.utils.clip_grad_norm_(alone, max_norm).item() for alone in expected]
    assert policy.clip_gradients(max_norm) == pytest.approx(norms, rel=1e-5)
    for place, parameter in enumerate(policy.trainable().values()):
        for member, alone in enumerate(expected):
            torch.testing.assert_close(parameter.grad[member], alone[place].grad)


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_all_weights_are_clipped_by_one_norm(max_norm):
    policy, other = full_policy(), full_policy()
    for one in (policy, other):
        one.model(input_ids=IDS).logits.square().mean().backward()
    norm = nn.utils.clip_grad_norm_(other.model.parameters(), max_norm).item()
    assert policy.clip_gradients(max_norm) == pytest.approx([norm])
    for one, two in zip(policy.trainable().values(), other.trainable().values(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_without_a_norm_nothing_is_clipped():
    policy = lora_policy(2)
    for parameter in policy.trainable().values():
        parameter.grad = torch.full_like(parameter, 100.0)
    norms = policy.clip_gradients(None)
    assert norms[0] == norms[1] > 1000
    assert all((parameter.grad == 100).all() for parameter in policy.trainable().values())


def test_without_gradients_the_norms_are_zero():
    assert lora_policy(3).clip_gradients(1.0) == [0.0] * 3
    assert full_policy().clip_gradients(1.0) == [0.0]
