"""Linear layers whose adapters PEFT does not load."""

import copy
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn

from src.models.peft_layers import lost_in_peft
from src.models.policy import Policy
from src.models.spec import LoraSpec
from tests.families import make_tokenizer
from tests.shrunk import tiny

LORA = LoraSpec(rank=2, alpha=4.0, dropout=0.0, targets="all-linear")


def lost(name: str) -> set[str]:
    model = tiny(name)
    layers = {key: tuple(module.weight.shape) for key, module in model.named_modules() if type(module) is nn.Linear}
    return {key.split("layers.")[-1] for key in lost_in_peft(model, layers)}


def test_usual_models_lose_nothing() -> None:
    assert lost("llama") == lost("gpt_neox") == set()


def test_names_of_experts_names_of_checkpoints_and_names_that_peft_refuses_are_lost() -> None:
    assert {f"0.mlp.{part}_proj" for part in ("gate", "up", "down")} <= lost("deepseek_v3")
    assert "1.mlp.shared_experts.up_proj" in lost("laguna")
    assert "0.mamba.out_proj" in lost("falcon_h1")


def test_peft_loads_what_a_mixture_of_experts_saves(tmp_path: Path) -> None:
    base = tiny("deepseek_v3")
    policy = Policy(copy.deepcopy(base), make_tokenizer(), "base", LORA)
    assert policy.layers and not any(name.endswith(("gate_proj", "up_proj", "down_proj")) for name in policy.layers)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.normal_(std=0.1)
    policy.save(tmp_path)
    ids = torch.arange(9)[None]
    with policy.using(policy.mean()) as model:
        expected = model(input_ids=ids).logits
    loaded = PeftModel.from_pretrained(base, tmp_path)
    torch.testing.assert_close(loaded(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)
