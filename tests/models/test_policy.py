import pytest
import torch
from torch import Tensor

from src.models.lora import LoraSpec
from src.models.policy import Policy
from src.runtime.errors import RunError
from tests.models.policies import (
    IDS,
    POLICIES,
    bfloat16_policy,
    full_policy,
    learning_logits,
    load_base,
    logits,
    lora_policy,
    mean_logits,
)
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture(params=POLICIES)
def policy(request) -> Policy:
    return POLICIES[request.param]()


def test_a_member_has_its_own_logits_and_the_plain_model_comes_back():
    policy = lora_policy(2)
    plain = logits(policy.model)
    torch.testing.assert_close(plain, logits(tiny_model()))
    seen = learning_logits(policy)
    assert not torch.allclose(seen[0], seen[1]) and not torch.allclose(seen[0], plain)
    assert torch.equal(logits(policy.model), plain)


def test_the_model_is_plain_again_after_an_exception_in_a_member():
    policy = lora_policy(2)
    plain = logits(policy.model)
    with pytest.raises(KeyError), policy.learning():
        raise KeyError
    assert torch.equal(logits(policy.model), plain)


def test_the_mean_of_one_member_is_that_member():
    policy = lora_policy(1)
    torch.testing.assert_close(mean_logits(policy), learning_logits(policy)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("members", [2, 3])
def test_members_in_one_pass_are_policies_of_their_own(members):
    """Logits and gradients of every member equal those of a policy that has this member alone."""
    together = lora_policy(members)
    weights = torch.linspace(-1, 1, members * 2).reshape(members * 2, 1, 1)
    with together.learning() as model:
        out = model(input_ids=IDS.repeat(members, 1)).logits
        (out.log_softmax(-1) * weights).square().sum().backward()
    for member in range(members):
        alone = lora_policy(1)
        alone.load_state({name: tensor[member : member + 1] for name, tensor in together.state().items()})
        with alone.learning() as model:
            expected = model(input_ids=IDS).logits
            part = slice(2 * member, 2 * member + 2)
            (expected.log_softmax(-1) * weights[part]).square().sum().backward()
        torch.testing.assert_close(out[part], expected, rtol=1e-5, atol=1e-5)
        for name, parameter in alone.trainable().items():
            grad = together.trainable()[name].grad[member : member + 1]
            torch.testing.assert_close(grad, parameter.grad, rtol=1e-4, atol=1e-5 * grad.abs().max().item())


@pytest.mark.parametrize("members", [2, 3])
def test_the_mean_by_hand(members):
    policy, plain = lora_policy(members), dict(tiny_model().named_parameters())
    mean = policy.mean()
    assert len(mean) == 6  # three kinds of layer in two blocks
    for name, layer in policy.layers.items():
        update = sum(layer.B[member] @ layer.A[member] for member in range(members)) * (3.0 / 2) / members
        torch.testing.assert_close(mean[f"{name}.weight"], plain[f"{name}.weight"] + update)


def test_the_mean_of_all_weights_is_a_copy_of_them():
    policy = full_policy()
    mean = policy.mean()
    assert mean.keys() == dict(tiny_model().named_parameters()).keys()
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(1.0)
    assert all(torch.equal(mean[name], p) for name, p in tiny_model().named_parameters())


def test_base_weights_are_frozen_and_untouched_by_a_step():
    policy = lora_policy(2)
    assert set(policy.trainable()) == {f"{name}.{factor}" for name in policy.layers for factor in "AB"}
    with policy.learning() as model:
        model(input_ids=IDS).logits.square().mean().backward()
    torch.optim.SGD(policy.model.parameters(), lr=1.0).step()
    torch.testing.assert_close(logits(policy.model), logits(tiny_model()))


def test_using_puts_the_weights_back_and_leaves_the_gradient_flags_alone(policy):
    flags = {name: p.requires_grad for name, p in policy.model.named_parameters()}
    before = {name: (p.data_ptr(), p.detach().clone()) for name, p in policy.model.named_parameters()}
    plain = logits(policy.model)
    other = {name: tensor + 0.5 * torch.randn_like(tensor) for name, tensor in policy.mean().items()}
    with policy.using(other) as model:
        assert not torch.is_grad_enabled()
        assert not torch.allclose(logits(model), plain)
        assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    assert torch.is_grad_enabled()
    assert torch.equal(logits(policy.model), plain)
    assert {name: p.requires_grad for name, p in policy.model.named_parameters()} == flags
    for name, parameter in policy.model.named_parameters():
        assert parameter.data_ptr() == before[name][0]
        assert torch.equal(parameter, before[name][1])


def test_using_puts_the_weights_back_after_an_exception(policy):
    plain = logits(policy.model)
    other = {name: torch.zeros_like(tensor) for name, tensor in policy.mean().items()}
    with pytest.raises(KeyboardInterrupt), policy.using(other):
        raise KeyboardInterrupt
    assert torch.equal(logits(policy.model), plain)
    assert torch.is_grad_enabled()


def test_using_weights_of_an_unknown_name_changes_nothing(policy):
    plain = logits(policy.model)
    with pytest.raises(KeyError), policy.using(policy.mean() | {"nothing.weight": torch.zeros(1)}):
        pass
    assert torch.equal(logits(policy.model), plain)


def test_using_leaves_the_given_weights_as_they_are(policy):
    weights = policy.mean()
    copies = {name: tensor.clone() for name, tensor in weights.items()}
    with policy.using(weights) as model:
        logits(model)
    assert all(torch.equal(weights[name], copies[name]) for name in weights)


def test_training_goes_on_after_using_other_weights(policy):
    def gradients() -> list[Tensor]:
        policy.model.zero_grad()
        with policy.learning() as model:
            model(input_ids=IDS.repeat(policy.members, 1)).logits.square().mean().backward()
        return [p.grad.clone() for p in policy.trainable().values()]

    before = gradients()
    with policy.using({name: torch.zeros_like(tensor) for name, tensor in policy.mean().items()}) as model:
        logits(model)
    assert all(torch.equal(one, other) for one, other in zip(before, gradients(), strict=True))


def test_no_dropout_outside_of_supervised_training():
    # A policy of another dropout is the same function: dropout belongs to SFT, which turns it on and off.
    spec = LoraSpec(rank=2, alpha=3.0, dropout=0.9, targets=["q_proj", "v_proj", "down_proj"])
    seen = []
    for policy in (lora_policy(2, spec=spec), lora_policy(2)):
        seen.append(learning_logits(policy))
    assert torch.equal(*seen)


def test_state_comes_back(policy, tmp_path):
    torch.save(policy.state(), tmp_path / "state.pt")
    before = mean_logits(policy)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.normal_()
    assert not torch.allclose(mean_logits(policy), before)
    policy.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(mean_logits(policy), before)


def test_fresh_adapters_are_made_by_the_seed_and_leave_the_model_as_it_is():
    policy, same, other = (lora_policy(2, seed=seed) for seed in (0, 1, 2))
    for one, seed in ((policy, 5), (same, 5), (other, 6)):
        one.initialize_adapters(seed)
    assert all(torch.equal(policy.state()[name], same.state()[name]) for name in policy.state())
    assert not torch.equal(*(next(iter(one.layers.values())).A for one in (policy, other)))
    torch.testing.assert_close(mean_logits(policy), logits(tiny_model()))


@pytest.mark.parametrize("members", [2, 5])
def test_an_ensemble_needs_adapters(members):
    with pytest.raises(ValueError, match=f"ensemble={members} needs LoRA"):
        Policy(tiny_model(), tiny_tokenizer(), base="base", lora=None, members=members)


def test_unknown_targets_are_refused():
    with pytest.raises(RunError, match="nothing_proj"):
        lora_policy(1, spec=LoraSpec(2, 3.0, 0.0, ["nothing_proj"]))


def test_weights_in_float32_are_put_in_place_in_the_models_own_type():
    policy = bfloat16_policy()
    mean = policy.mean()
    assert {tensor.dtype for tensor in mean.values()} == {torch.bfloat16}
    expected = mean_logits(policy)
    with policy.using({name: tensor.float() for name, tensor in mean.items()}) as model:
        assert torch.equal(logits(model), expected)
    assert {p.dtype for p in policy.model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_a_bfloat16_policy_is_the_float32_one_up_to_rounding():
    policy, exact = bfloat16_policy(), lora_policy(2)
    apart = (mean_logits(policy).float() - mean_logits(exact)).norm() / mean_logits(exact).norm()
    assert 0 < apart < 0.05


def test_the_mean_is_a_model_folder_of_its_own(policy, tmp_path):
    policy.save_merged(tmp_path)
    torch.testing.assert_close(logits(load_base(str(tmp_path))), mean_logits(policy))


@pytest.mark.parametrize("make", [lambda: lora_policy(3), full_policy])
def test_a_perturbed_policy_is_the_seeds_and_as_far_as_it_is_told(make):
    def changes(seed: int) -> dict[str, Tensor]:
        policy = make()
        plain = {name: weight.clone() for name, weight in policy.plain_weights().items()}
        policy.perturb(seed, 0.02)
        return {name: weight - plain[name] for name, weight in policy.mean().items()}

    same, other = changes(0), changes(1)
    frozen = make().plain_weights()
    for name, change in changes(0).items():
        assert torch.equal(change, same[name]) and not torch.equal(change, other[name])
        share = change.square().mean().sqrt() / frozen[name].square().mean().sqrt()
        assert share == pytest.approx(0.02, rel=0.1 if change.ndim > 1 else 0.5), name
