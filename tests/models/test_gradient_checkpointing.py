import pytest
import torch

from src.models.policy import Policy
from src.runtime.errors import RunError
from tests.models.policies import IDS, full_policy, logits, lora_policy
from tests.tiny import tiny_model, tiny_tokenizer


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
