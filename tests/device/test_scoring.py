"""Log-probs, gradients and the head, against one row at a time on the processor."""

import pytest
import torch
from torch import Tensor, nn
from transformers import GemmaConfig, GemmaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from src.inference.lm_head import Head, kl_divergence, token_logps
from src.inference.scorer import scorer_for
from src.records import Ids
from tests.models.policies import lora_policy
from tests.tiny import DIMENSIONS, tiny_model

PROMPTS: list[Ids] = [(5, 9, 13, 2, 40, 41, 8), (7,), (30, 3, 22), (12, 12, 12, 12, 50)]
RESPONSES: list[list[Ids]] = [
    [(4, 4, 1), (61, 2, 3, 4, 5, 6, 1)],
    [(33,), (20, 21, 22, 23, 24, 25, 26, 27, 1)],
    [(2, 3, 4, 5), (63, 1)],
    [(1,), (17, 18, 19)],
]
# Log-probs of about -40 nats in float32 and with bfloat16 weights and states, whose eight bits every layer rounds to.
FLOAT32, BFLOAT16 = {"rtol": 1e-4, "atol": 1e-4}, {"rtol": 0.05, "atol": 0.5}


def tiny_gemma() -> nn.Module:
    """Scaled embeddings, a head dimension of its own, one head of keys and values."""
    torch.manual_seed(0)
    return GemmaForCausalLM(GemmaConfig(**DIMENSIONS | {"head_dim": 8, "num_key_value_heads": 1})).eval()


def tiny_qwen() -> nn.Module:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**DIMENSIONS | {"head_dim": 16, "num_key_value_heads": 1})).eval()


MODELS = {"llama": tiny_model, "gemma": tiny_gemma, "qwen3": tiny_qwen}


def plain_logps(model: nn.Module) -> Tensor:
    """Of every response, (prompts, k): a row at a time on the processor, the whole log-softmax at every position."""

    def one(prompt: Ids, response: Ids) -> Tensor:
        table = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].float().log_softmax(-1)
        return torch.stack([table[len(prompt) - 1 + place, token] for place, token in enumerate(response)]).sum()

    return torch.stack(
        [torch.stack([one(prompt, response) for response in group])
         for prompt, group in zip(PROMPTS, RESPONSES, strict=True)]
    )  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_log_probs_and_gradients_are_those_of_plain_rows_on_a_processor(device: torch.device, name: str) -> None:
    weights = torch.linspace(-1, 2, 8).reshape(4, 2)
    plain = MODELS[name]()
    expected = plain_logps(plain)
    (expected * weights).sum().backward()
    model = MODELS[name]().to(device)
    scorer = scorer_for(model, 4096, print)
    found = scorer.logps(model, PROMPTS, RESPONSES)
    assert found.device.type == device.type
    (found * weights.to(device)).sum().backward()
    torch.testing.assert_close(found.cpu(), expected, **FLOAT32)
    theirs = dict(plain.named_parameters())
    for key, parameter in model.named_parameters():
        largest = theirs[key].grad.abs().max()
        torch.testing.assert_close(parameter.grad.cpu() / largest, theirs[key].grad / largest, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_near_float32_of_the_same_weights(device: torch.device, name: str) -> None:
    model = MODELS[name]().bfloat16()
    exact = MODELS[name]()
    exact.load_state_dict({key: value.float() for key, value in model.state_dict().items()})
    model = model.to(device)
    with torch.no_grad():
        found = scorer_for(model, 4096, print).logps(model, PROMPTS, RESPONSES)
        torch.testing.assert_close(found.cpu(), plain_logps(exact), **BFLOAT16)
    assert found.dtype == torch.float32


def test_members_scored_in_one_pass_are_the_members_scored_alone(device: torch.device) -> None:
    policy = lora_policy(3)
    policy.model.to(device)
    scorer = scorer_for(policy.model, 4096, print)
    with policy.learning() as model, torch.no_grad():
        together = scorer.member_logps(model, 3, PROMPTS, RESPONSES)
    assert together.shape == (3, 4, 2)
    alone = []
    for member in range(3):
        single = lora_policy(1)
        with torch.no_grad():
            for name, parameter in single.trainable().items():
                parameter.copy_(policy.trainable()[name][member : member + 1].cpu())
        with single.learning() as model, torch.no_grad():
            alone.append(scorer_for(single.model, 4096, print).member_logps(model, 1, PROMPTS, RESPONSES)[0])
    torch.testing.assert_close(together.cpu(), torch.stack(alone), **FLOAT32)
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_head_computes_in_float32(device: torch.device, dtype: torch.dtype) -> None:
    drawn = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(size, 96, generator=drawn).to(dtype) for size in (50, 9000))
    targets = torch.arange(50) * 7
    exact = (hidden.double() @ weight.double().T).log_softmax(-1)[torch.arange(50), targets]
    head = Head(weight.to(device), None, None)
    logps = token_logps(hidden.to(device), head, targets.to(device))
    torch.testing.assert_close(logps.cpu(), exact.float(), rtol=1e-5, atol=2e-4)
    zero = kl_divergence((hidden.to(device), head), (hidden.to(device), head))
    torch.testing.assert_close(zero.cpu(), torch.zeros(50))
