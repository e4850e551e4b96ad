"""A tiny random model of any causal language model class of transformers, made from the names in its configuration."""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

VOCABULARY = 300
WINDOW = 8


def _all(value: int, names: str) -> dict[str, int]:
    return dict.fromkeys(names.split(), value)


SIZES = {
    **_all(
        32,
        "hidden_size d_model n_embd dim emb_dim embedding_dim attention_hidden_size hidden_size_global lru_width "
        "word_embed_proj_dim embedding_size input_embedding_size output_embedding_size out_hidden_size",
    ),
    **_all(
        48,
        "intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim d_ff dff dim_ff ffn_hidden_size "
        "moe_intermediate_size shared_expert_intermediate_size shared_experts_intermediate_size intermediate_size_mlp "
        "shared_intermediate_size expert_ffn_hidden_size dense_intermediate_size moe_shared_expert_intermediate_size "
        "d_inner mlp_dim feed_forward_size n_inner",
    ),
    **_all(
        2,
        "num_attention_heads decoder_attention_heads encoder_attention_heads n_head num_heads n_heads attention_heads "
        "num_decoder_attention_heads num_encoder_attention_heads swa_num_attention_heads conf_num_attention_heads "
        "index_n_heads linear_num_heads linear_num_key_heads linear_num_value_heads num_experts_per_tok "
        "num_experts_per_token moe_k moe_topk depth num_blocks",
    ),
    **_all(
        1,
        "num_key_value_heads swa_num_key_value_heads num_kv_heads num_query_groups n_group num_expert_group topk_group "
        "n_shared_experts mamba_n_groups n_groups",
    ),
    **_all(
        16,
        "head_dim dim_head d_kv d_head swa_head_dim global_head_dim attention_head_size kv_channels linear_head_dim "
        "linear_key_head_dim linear_value_head_dim qk_head_dim v_head_dim kv_lora_rank q_lora_rank index_head_dim "
        "hidden_size_per_layer_input mamba_d_head mamba_head_dim image_size",
    ),
    **_all(
        VOCABULARY,
        "vocab_size unpadded_vocab_size decoder_vocab_size vocab_size_per_layer_input encoder_hash_byte_group_vocab",
    ),
    **_all(
        4, "num_experts num_local_experts n_routed_experts moe_num_experts mamba_n_heads mamba_num_heads patch_size"
    ),
    **_all(4, "time_step_rank mamba_dt_rank index_topk_blocks"),
    **_all(
        WINDOW,
        "sliding_window window_size sliding_window_size attention_chunk_size keep_window_size attention_window_size "
        "local_attention_window_len local_attention index_topk index_block_size state_size mamba_d_state "
        "ssm_state_size chunk_size mamba_chunk_size qk_rope_head_dim qk_nope_head_dim rotary_dim",
    ),
    **_all(
        512,
        "max_position_embeddings n_positions max_seq_len model_max_length n_ctx context_length max_target_positions "
        "max_sequence_length",
    ),
    "mamba_d_ssm": 64,
}
DEPTHS = (
    "num_hidden_layers n_layer num_layers decoder_layers encoder_layers n_layers num_decoder_layers num_encoder_layers"
)
# Large, so that the next token depends strongly on the ones before: a wrong mask or position shows.
DEVIATIONS = dict.fromkeys(("initializer_range", "init_std", "embed_init_std"), 0.3)
IDS = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
# Values that the names above do not give.
MLA = {"num_key_value_heads": 2}
ROTARY = {**MLA, "head_dim": 8}
OWN: dict[str, dict[str, Any]] = {
    "axk1": ROTARY,
    "axk2": MLA,
    "bailing_hybrid": MLA,
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "codegen": {"n_head": 4, "n_embd": 64},
    "dbrx": {
        "attn_config": {"kv_n_heads": 1, "rope_theta": 10000.0, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {**ROTARY, "num_experts_per_tok": 2},
    "deepseek_v3": ROTARY,
    "deepseek_v32": MLA,
    "diffllama": {"num_key_value_heads": 2},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "dots3_note_text": {"num_key_value_heads": 2},
    "falcon_h1": {"mamba_d_head": 16},
    "gemma3n_text": {"num_hidden_layers": 10, "num_kv_shared_layers": 5, "intermediate_size": 48},
    "glm4_moe_lite": MLA,
    "glm_moe_dsa": MLA,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "kimi_linear": MLA,
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2, "num_dense_layers": 1},
    "longcat_flash": ROTARY,
    "mamba2": {"num_heads": 4, "head_dim": 16},
    "minicpm3": MLA,
    "ministral": {"head_dim": 16},
    "nemotron": {"num_key_value_heads": 2, "head_dim": 16},
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
        "hc_lowrank": 8,
    },
    "reformer": {"axial_pos_embds": False, "num_attention_heads": 2, "attention_head_size": 16},
    "xlm": {"causal": True},
    "xmod": {"default_language": "en_XX"},
    "youtu": ROTARY,
    "zamba": {
        "attention_hidden_size": 64,
        "attention_head_dim": 32,
        "num_key_value_heads": 2,
        "n_mamba_heads": 2,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
    },
    "zamba2": {
        "attention_hidden_size": 64,
        "attention_head_dim": 32,
        "num_key_value_heads": 2,
        "n_mamba_heads": 4,
        "mamba_headdim": 16,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
        "adapter_rank": 4,
    },
}


def families() -> dict[str, type[PreTrainedConfig]]:
    """Every model type with a causal language model class, and its configuration class."""
    return {config.model_type: config for config in MODEL_FOR_CAUSAL_LM_MAPPING}


def tiny_config(name: str, depth: int, **changes: Any) -> PreTrainedConfig:
    """The default configuration of a model type with small numbers.

    Args:
        name: the model type.
        depth: number of layers.
        changes: more values.
    """
    cls = families()[name]
    return cls(**_small(cls(), depth) | OWN.get(name, {}) | changes)


def _small(config: PreTrainedConfig, depth: int) -> dict[str, Any]:
    """The values of a configuration that have to be other than the default ones."""
    sizes = SIZES | _all(depth, DEPTHS)
    values: dict[str, Any] = {}
    for key, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            values[key] = type(value)(**_small(value, depth) | OWN.get(value.model_type, {}))
        elif key in IDS and isinstance(value, int | list):
            values[key] = IDS[key]
        elif key == "is_decoder":
            values[key] = True
        elif key in sizes and type(value) is int and value > 0:
            values[key] = min(sizes[key], value)
        elif key in DEVIATIONS and isinstance(value, float):
            values[key] = DEVIATIONS[key]
    return values


def tiny(name: str, **changes: Any) -> PreTrainedModel:
    """A random model of a model type: the shallowest one that has every kind of layer of the default configuration.

    Raises:
        ValueError: if none can be made; with the last reason.
    """
    try:
        kinds = set(_layer_types(families()[name]()))
    except Exception as error:
        raise ValueError(" ".join(str(error).split())[:150]) from error
    reason = "no depth has every kind of layer"
    for config in _candidates(name, changes):
        if isinstance(config, str):
            reason = config
            continue
        if kinds - set(_layer_types(config)):
            continue
        try:
            with torch.device("meta"):
                size = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
            if size > 2e7:
                reason = f"{size} parameters"
                continue
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
            with torch.no_grad():
                model(input_ids=torch.arange(5, 20)[None], use_cache=False)
            return model
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    raise ValueError(" ".join(reason.split())[:150])


def _candidates(name: str, changes: dict[str, Any]) -> Iterator[PreTrainedConfig | str]:
    """Configurations of growing depth, or why there is none."""
    for depth in (2, 3, 4, 5, 6, 8):
        try:
            yield tiny_config(name, depth, **changes)
        except Exception as error:
            yield f"{type(error).__name__}: {error}"


def _layer_types(config: PreTrainedConfig) -> list[str]:
    text = config.get_text_config(decoder=True)
    for key in ("layer_types", "layers_block_type", "block_types"):
        if isinstance(getattr(text, key, None), list):
            return [str(kind) for kind in getattr(text, key)]
    return []
