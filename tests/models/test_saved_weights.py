import contextlib
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoTokenizer

from src.models.saved_weights import require_fitting_adapter
from src.references.gold import Gold
from src.runtime.errors import RunError
from tests.experiments import built
from tests.models.policies import (
    bfloat16_policy,
    full_policy,
    learning_logits,
    load_base,
    logits,
    lora_policy,
    mean_logits,
    save_base,
)
from tests.tiny import VOCABULARY, tiny_model, tiny_tokenizer


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


def test_an_adapter_is_compared_with_its_base_before_the_base_is_loaded(tmp_path):
    base = save_base(tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").unlink()  # the configuration is enough
    lora_policy(2).save(tmp_path / "policy")
    require_fitting_adapter(tmp_path / "policy", base)
    require_fitting_adapter(tmp_path / "base", base)  # a whole model
    require_fitting_adapter(tmp_path / "policy", "/nothing/there")  # loading the model says so
    lora_policy(1, intermediate_size=40).save(tmp_path / "other")
    with pytest.raises(RunError, match=r"does not fit this model: model.layers.0.mlp.down_proj.weight"):
        require_fitting_adapter(tmp_path / "other", base)
    lora_policy(1, num_hidden_layers=3).save(tmp_path / "deeper")
    with pytest.raises(RunError, match=r"does not fit this model: model.layers.2"):
        Gold(str(tmp_path / "deeper"), False).require_fit(base)


def test_a_gold_adapter_of_another_base_is_refused_before_sft(tmp_path):
    base = save_base(tmp_path / "base")
    tiny_tokenizer().save_pretrained(base)
    lora_policy(1, num_hidden_layers=3).save(tmp_path / "gold")
    options = "model=smollm2_135m", f"model.path={base}", "reference=gold", f"reference.path={tmp_path / 'gold'}"
    few = "data.train=12", "data.validation=2", "data.test=2"
    with pytest.raises(RunError, match="does not fit this model: model.layers.2"):
        built(tmp_path / "run", tmp_path / "cache", *options, smoke=few)
    assert not (tmp_path / "cache").exists()
