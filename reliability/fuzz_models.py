"""Fuzzed models and adapters: folders whose configurations, tokenizers or weights were changed or torn.

Such a folder may be refused. One that is accepted must give the numbers of plain transformers, or of PEFT.
"""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from reliability.garble import NASTY, torn

# Values that a configuration may have, none of which makes a large model.
SMALL: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 7, 0.5, 1e-6, float("nan"), "", "x", "silu", "relu", "main", "gaussian", "pissa",
    "all", [], [0], [1, 1], ["q_proj"], {}, {"a": 1}, {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0},
    {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 100.0}, "eager", "float16", "bfloat16", "llama", "gpt2",
)  # fmt: skip
# Fields that change what a model computes, or what it is.
FIELDS = (
    "sliding_window", "layer_types", "rope_scaling", "rope_parameters", "attn_logit_softcapping",
    "final_logit_softcapping", "tie_word_embeddings", "pad_token_id", "eos_token_id", "bos_token_id",
    "max_position_embeddings", "attention_bias", "auto_map", "quantization_config", "dtype", "architectures",
    "model_type", "num_hidden_layers", "vocab_size", "head_dim", "hidden_act",
)  # fmt: skip
OF_ADAPTERS = (
    "use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "init_lora_weights", "bias",
    "lora_bias", "target_modules", "exclude_modules", "layers_to_transform", "r", "lora_alpha", "fan_in_fan_out",
    "target_parameters", "trainable_token_indices", "corda_config", "eva_config", "layer_replication", "arrow_config",
)  # fmt: skip
# Most nats by which a log-probability may be off.
CLOSE = 1e-3


class WrongNumber(Exception):
    """A model that was accepted and gives other numbers than plain transformers or PEFT."""


def models(rng: Random, folder: Path) -> None:
    """A model's folder, fine-tuned for one step as a run does; then responses are scored."""
    place = folder / "model"
    shutil.copytree(_shelf() / rng.choice(("llama", "qwen", "gemma", "gpt2")), place)
    files = ("config.json", "config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
    _spoil(rng, place / rng.choice((*files, "model.safetensors")), FIELDS)
    _score(rng, str(place), folder)


def adapters(rng: Random, folder: Path) -> None:
    """An adapter's folder, read as a policy of `src.evaluate` is; then a row is scored."""
    place = folder / "adapter"
    shutil.copytree(_shelf() / "adapter", place)
    files = ("adapter_config.json",) * 3 + ("adapter_model.safetensors",)
    _spoil(rng, place / rng.choice(files), OF_ADAPTERS)
    _compare_with_peft(place)


def _spoil(rng: Random, file: Path, fields: tuple[str, ...]) -> None:
    """Changes one or two fields of a JSON file, or tears a file."""
    raw = file.read_bytes()
    if file.suffix != ".json" or rng.random() < 0.1:
        file.write_bytes(torn(rng, raw))
        return
    config = json.loads(raw)
    for _ in range(rng.randint(1, 2)):
        node, key = config, rng.choice((*config, *fields))
        if isinstance(node.get(key), dict) and node[key] and rng.random() < 0.5:
            node, key = node[key], rng.choice(list(node[key]))
        if key in node and rng.random() < 0.15:
            del node[key]
        else:
            node[key] = rng.choice((*SMALL, rng.choice(NASTY)))
    file.write_text(json.dumps(config), encoding="utf-8", errors="replace")


def _score(rng: Random, path: str, folder: Path) -> None:
    import torch

    from src.inference.scorer import scorer_for
    from src.learning.sft_cache import SftCache
    from src.models.spec import LoraSpec, ModelSpec, SftSpec
    from src.models.template import template_of
    from src.records import Row
    from src.runtime.errors import ConfigError
    from src.runtime.report import Report

    lora = LoraSpec(2, 4.0, 0.0, "all-linear") if rng.random() < 0.3 else None
    try:
        spec = ModelSpec(
            name="fuzzed", path=path, template="plain", dtype="float32", scratch=None, pretrain=None, lora=lora,
            sft=SftSpec(1, 2, 1e-3, 0), learning_rate=1e-3, rows=8, tokens=256, gradient_checkpointing=False,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error).splitlines()) from None
    rows = [Row(f"What is number {number}?", f" It is {number}.") for number in range(4)]
    cache = SftCache(folder / "cache", spec, rows, 24, 12, None, torch.device("cpu"), Report())
    policy = cache.policy(1)
    model, template = policy.model, template_of(policy, "plain")
    prompts = [template.prompt_ids(row.prompt) for row in rows[:2]]
    responses = [[template.response_ids(text) for text in (" It is 1.", " No, it is not.")]] * 2
    with policy.using(policy.mean()), torch.no_grad():
        ours = scorer_for(model, 256, lambda _: None).all_logps(model, prompts, responses)
        for prompt, group, logps in zip(prompts, responses, ours.tolist(), strict=True):
            for response, logp in zip(group, logps, strict=True):
                table = model(input_ids=torch.tensor([[*prompt, *response]]), use_cache=False).logits[0].float()
                alone = table[len(prompt) - 1 : -1].log_softmax(-1).gather(1, torch.tensor([response]).T).sum().item()
                if not abs(logp - alone) <= CLOSE:
                    raise WrongNumber(f"scored {logp}, and {alone} by itself")


def _compare_with_peft(folder: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, PreTrainedModel

    from src.models.adapter_files import check_targets, load_adapter, without_adapters

    base = _shelf() / "llama"
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    plain: PreTrainedModel = AutoModelForCausalLM.from_pretrained(base)
    layers, scale = load_adapter(folder)
    check_targets(folder, layers, plain, without_adapters(plain, {}))
    with torch.no_grad():
        for name, (A, B) in layers.items():
            plain.get_submodule(name).weight.add_(scale * (B @ A))  # type: ignore[operator]
        ours = plain(input_ids=ids).logits
        try:
            peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
        except Exception:  # what PEFT cannot read, it gives no other numbers for
            return
        theirs = peft(input_ids=ids).logits
    if not (off := (ours - theirs).abs().max().item()) <= CLOSE:
        raise WrongNumber(f"off by {off} from PEFT")


@cache
def _shelf() -> Path:
    """A folder of small models of several families, and of an adapter on one of them; removed when Python ends."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, Qwen2Config

    from src.build import quiet_libraries
    from src.models.scratch import train_tokenizer
    from src.records import Row

    quiet_libraries()
    home = tempfile.TemporaryDirectory(prefix="fuzz-models-")
    _KEPT.append(home)
    place = Path(home.name)
    tokenizer = train_tokenizer([Row(f"What is number {number}?", f"It is {number}.") for number in range(9)], 280)
    common: dict[str, Any] = {"vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    sizes: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 64, "head_dim": 8,
    }  # fmt: skip
    configs = {
        "llama": LlamaConfig(**common, **sizes),
        "qwen": Qwen2Config(**common, **sizes),
        "gemma": Gemma2Config(**common, **sizes, sliding_window=8),
        "gpt2": GPT2Config(**common, n_embd=16, n_layer=2, n_head=2, n_positions=64),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, config in configs.items():
            AutoModelForCausalLM.from_config(config).save_pretrained(place / name)
            tokenizer.save_pretrained(place / name)
        base = AutoModelForCausalLM.from_pretrained(place / "llama")
        adapted = get_peft_model(base, LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "up_proj"]))
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        adapted.save_pretrained(str(place / "adapter"))
    return place


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
