import contextlib
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from src.models.lora import LoraSpec
from src.models.policy import Policy
from src.runtime.errors import RunError
from tests.tiny import VOCABULARY, tiny_model, tiny_tokenizer

SPEC = LoraSpec(rank=2, alpha=3.0, dropout=0.0, targets=["q_proj", "v_proj", "down_proj"])
IDS = torch.tensor([[5, 9, 13, 2, 40, 41], [7, 7, 30, 3, 1, 60]])


def lora_policy(members: int, base: str = "base", spec: LoraSpec = SPEC, seed: int = 0, **changes: object) -> Policy:
    """A policy with random A and B, large enough that a wrong mean shows in the logits."""
    policy = Policy(tiny_model(**changes), tiny_tokenizer(), base=base, lora=spec, members=members)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.normal_(std=0.3, generator=generator)
    return policy


def full_policy(seed: int = 0, **changes: object) -> Policy:
    return Policy(tiny_model(seed, **changes), tiny_tokenizer(), base="base", lora=None)


POLICIES = {"lora": lambda: lora_policy(1), "ensemble": lambda: lora_policy(3), "full": full_policy}


@pytest.fixture(params=POLICIES)
def policy(request) -> Policy:
    return POLICIES[request.param]()


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def mean_logits(policy: Policy) -> Tensor:
    with policy.using(policy.mean()) as model:
        return logits(model)


def learning_logits(policy: Policy) -> Tensor:
    """Every member's logits, from one pass: (members, 2, 6, vocabulary)."""
    with policy.learning() as model, torch.no_grad():
        return model(input_ids=IDS.repeat(policy.members, 1)).logits.unflatten(0, (policy.members, -1))


def save_base(folder: Path) -> str:
    tiny_model().save_pretrained(folder)
    return str(folder)


def load_base(folder: str) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


# Members and their mean


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


# Whose weights are where


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


# Gradients


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


# On disk


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


@pytest.mark.parametrize("members", [1, 3])
def test_a_saved_adapter_gives_peft_the_mean_policy(tmp_path, members):
    base = save_base(tmp_path / "base")
    policy = lora_policy(members, base)
    policy.save(tmp_path / "policy")
    loaded = PeftModel.from_pretrained(load_base(base), tmp_path / "policy").eval()
    torch.testing.assert_close(logits(loaded), mean_logits(policy), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(loaded), logits(load_base(base)), atol=0.1)
    assert loaded.peft_config["default"].base_model_name_or_path == base
    assert AutoTokenizer.from_pretrained(tmp_path / "policy").eos_token == "<eos>"


def test_saved_members_give_peft_the_members(tmp_path):
    base = save_base(tmp_path / "base")
    policy = lora_policy(3, base)
    policy.save(tmp_path / "policy")
    for member in range(3):
        loaded = PeftModel.from_pretrained(load_base(base), tmp_path / "policy" / "members" / str(member)).eval()
        torch.testing.assert_close(logits(loaded), learning_logits(policy)[member], rtol=1e-5, atol=1e-5)


def test_pefts_combinations_of_the_members(tmp_path):
    # "cat" stacks the adapters and is the mean; "linear", its default, mixes their factors and is another policy.
    base = save_base(tmp_path / "base")
    policy = lora_policy(3, base)
    policy.save(tmp_path / "policy")
    names = ["0", "1", "2"]
    loaded = PeftModel.from_pretrained(load_base(base), tmp_path / "policy" / "members" / "0", adapter_name="0")
    for name in names[1:]:
        loaded.load_adapter(tmp_path / "policy" / "members" / name, adapter_name=name)
    expected, plain = mean_logits(policy), logits(load_base(base))
    errors = {}
    for kind in ("cat", "linear"):
        loaded.add_weighted_adapter(names, [1 / 3] * 3, kind, combination_type=kind)
        loaded.set_adapter(kind)
        errors[kind] = ((logits(loaded.eval()) - expected).norm() / (expected - plain).norm()).item()
    assert errors["cat"] < 1e-5
    assert errors["linear"] > 0.1


@pytest.mark.parametrize("members", [1, 3])
def test_adapter_weights_are_read_back(tmp_path, members):
    policy = lora_policy(members)
    policy.save(tmp_path)
    weights, mean = policy.read_weights(tmp_path), policy.mean()
    assert weights.keys() == mean.keys()
    for name in mean:
        # To the bit: a run's policy is evaluated again from its folder, and says the same.
        assert torch.equal(weights[name], mean[name])


def test_adapter_weights_are_read_into_a_policy_of_another_ensemble(tmp_path):
    lora_policy(3, seed=1).save(tmp_path)
    other = lora_policy(1, seed=2)
    with other.using(other.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), mean_logits(lora_policy(3, seed=1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_all_weights_are_read_back(tmp_path, tied):
    saved, other = full_policy(1, tie_word_embeddings=tied), full_policy(2, tie_word_embeddings=tied)
    saved.save(tmp_path)
    weights = other.read_weights(tmp_path)
    assert weights.keys() == saved.mean().keys()
    with other.using(weights) as model:
        torch.testing.assert_close(logits(model), logits(saved.model))


def test_a_policy_with_adapters_reads_a_model_folder(tmp_path):
    saved, policy = full_policy(1), lora_policy(2)
    saved.save(tmp_path)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), logits(saved.model))


def peft_adapter(folder: Path, **options: object) -> Tensor:
    """Writes a random adapter as PEFT does, and gives its logits."""
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(tiny_model(), config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5 if parameter.requires_grad else 1.0)
    model.save_pretrained(folder)
    return logits(model)


def test_an_adapter_that_peft_has_written_is_read(tmp_path):
    expected = peft_adapter(tmp_path)
    policy = lora_policy(2)
    with policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"alpha_pattern": {"down_proj": 12}},
        {"rank_pattern": {"q_proj": 2}},
        {"modules_to_save": ["norm"]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_adapter_of_another_kind_is_read_as_peft_does_or_refused(tmp_path, options):
    expected = peft_adapter(tmp_path, **options)
    policy = lora_policy(2)
    with contextlib.suppress(RunError), policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)


def test_a_member_is_read_back(tmp_path):
    saved, policy = lora_policy(3, seed=1), lora_policy(2, seed=2)
    saved.save(tmp_path)
    untouched = {name: tensor[0].clone() for name, tensor in policy.state().items()}
    policy.load_member(1, tmp_path / "members" / "2")
    for name, tensor in policy.state().items():
        assert torch.equal(tensor[1], saved.state()[name][2])
        assert torch.equal(tensor[0], untouched[name])


OTHER_BASES = {"width": {"hidden_size": 16}, "vocabulary": {"vocab_size": VOCABULARY + 1}}


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    lora_policy(1, intermediate_size=40).save(tmp_path)
    with pytest.raises(RunError, match=rf"policy in {tmp_path} does not fit.*down_proj.weight is .*32, 40.*32, 48"):
        lora_policy(1).read_weights(tmp_path)


@pytest.mark.parametrize("changes", OTHER_BASES.values(), ids=OTHER_BASES.keys())
def test_a_model_of_another_shape_is_refused(tmp_path, changes):
    full_policy(**changes).save(tmp_path)
    with pytest.raises(RunError, match="does not fit this model: model.embed_tokens.weight"):
        full_policy().read_weights(tmp_path)


@pytest.mark.parametrize("make", [full_policy, lambda **changes: lora_policy(1, **changes)], ids=["full", "lora"])
def test_a_policy_with_more_layers_is_refused(tmp_path, make):
    make(num_hidden_layers=3).save(tmp_path)
    with pytest.raises(RunError, match="does not fit this model: model.layers.2"):
        make().read_weights(tmp_path)


def test_a_model_with_fewer_layers_is_refused(tmp_path):
    full_policy(num_hidden_layers=1).save(tmp_path)
    with pytest.raises(RunError, match="does not fit"):
        full_policy().read_weights(tmp_path)


def test_an_adapter_is_the_same_policy_however_far_training_has_gone(tmp_path):
    # Its update belongs to the base model; on top of weights that move it would be another policy every round.
    lora_policy(1).save(tmp_path)
    policy = full_policy()
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(0.1)
    # Refusing is as good.
    with contextlib.suppress(RunError), policy.using(policy.read_weights(tmp_path)) as model:
        torch.testing.assert_close(logits(model), mean_logits(lora_policy(1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("members", [2, 5])
def test_an_ensemble_needs_adapters(members):
    with pytest.raises(ValueError, match=f"ensemble={members} needs LoRA"):
        Policy(tiny_model(), tiny_tokenizer(), base="base", lora=None, members=members)


def test_unknown_targets_are_refused():
    with pytest.raises(RunError, match="nothing_proj"):
        lora_policy(1, spec=LoraSpec(2, 3.0, 0.0, ["nothing_proj"]))


# A base in bfloat16


def bfloat16_policy(members: int = 2) -> Policy:
    policy = Policy(tiny_model().to(torch.bfloat16), tiny_tokenizer(), base="base", lora=SPEC, members=members)
    policy.load_state(lora_policy(members).state())
    return policy


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


def test_a_bfloat16_policy_saves_and_reads_its_adapter_in_float32(tmp_path):
    policy = bfloat16_policy()
    policy.save(tmp_path)
    weights, mean = policy.read_weights(tmp_path), policy.mean()
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    for name in mean:
        torch.testing.assert_close(weights[name], mean[name], rtol=0.01, atol=1e-6)
    exact = lora_policy(2).read_weights(tmp_path)
    for name, tensor in lora_policy(2).mean().items():
        torch.testing.assert_close(exact[name], tensor)


# Memory


@pytest.mark.parametrize("make", [lambda **how: lora_policy(2, **how), full_policy], ids=["lora", "full"])
def test_gradient_checkpointing_computes_layers_twice_and_changes_no_gradient(make):
    seen, counts = [], []
    for again in (False, True):
        policy = make()
        policy = Policy(
            tiny_model(), tiny_tokenizer(), "base", policy.lora, policy.members, gradient_checkpointing=again
        )
        policy.load_state(make().state())
        calls: list[int] = []
        layer = policy.model.base_model.layers[0].mlp
        layer.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        with policy.learning() as model:
            assert not any(module.training for module in layer.modules())
            model(input_ids=IDS.repeat(policy.members, 1)).logits.log_softmax(-1)[:, :, 3].sum().backward()
        seen.append([parameter.grad for parameter in policy.trainable().values()])
        counts.append(len(calls))
        with policy.using(policy.mean()) as model:
            logits(model)
        assert len(calls) == counts[-1] + 1  # sampling and scoring compute once
    assert counts == [1, 2]
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_model_without_gradient_checkpointing_says_so(monkeypatch):
    model = tiny_model()
    monkeypatch.setattr(type(model), "supports_gradient_checkpointing", False)
    with pytest.raises(RunError, match="model.gradient_checkpointing=false"):
        Policy(model, tiny_tokenizer(), "base", None, gradient_checkpointing=True)
