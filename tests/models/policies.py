"""Tiny policies of every kind, and their logits."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from src.models.lora import LoraSpec
from src.models.policy import Policy
from tests.tiny import tiny_model, tiny_tokenizer

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


def bfloat16_policy(members: int = 2) -> Policy:
    policy = Policy(tiny_model().to(torch.bfloat16), tiny_tokenizer(), base="base", lora=SPEC, members=members)
    policy.load_state(lora_policy(members).state())
    return policy
