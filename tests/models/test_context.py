"""How long rows may be, and where rotary embeddings change."""

import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3Config,
    LlamaConfig,
    OPTConfig,
    OPTForCausalLM,
    RobertaConfig,
    RobertaForCausalLM,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from src.models.context import LengthSwitch, length_switch, position_limit, require_room
from src.runtime.errors import RunError
from tests.shrunk import tiny
from tests.tiny import tiny_gpt2, tiny_model

LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "rope_theta": 10000.0}


def test_the_limit_is_the_number_of_positions() -> None:
    assert position_limit(tiny_model()) == 64
    assert position_limit(tiny_gpt2()) == 64


def test_positions_that_begin_behind_the_padding_token_are_fewer() -> None:
    """RoBERTa's first position is padding_idx + 1, so two of its 40 are never used; OPT has two more than it says."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    roberta = RobertaForCausalLM(
        RobertaConfig(**sizes, intermediate_size=16, max_position_embeddings=40, pad_token_id=1, is_decoder=True)
    ).eval()
    assert position_limit(roberta) == 38
    with torch.no_grad():
        roberta(input_ids=torch.full((1, 38), 7))
        with pytest.raises((IndexError, RuntimeError)):
            roberta(input_ids=torch.full((1, 39), 7))
    opt = OPTForCausalLM(OPTConfig(**sizes, ffn_dim=16, max_position_embeddings=40, word_embed_proj_dim=16))
    assert position_limit(opt) == 40


def test_a_configuration_may_have_no_limit() -> None:
    bloom = BloomForCausalLM(BloomConfig(vocab_size=50, hidden_size=16, n_layer=1, n_head=2))
    assert position_limit(bloom) is None
    require_room(bloom, "DIR", 10**6, 10**6)


@pytest.mark.parametrize("name", ["gemma3", "gpt_bigcode", "bart"])
def test_nested_and_differently_named_limits_are_found(name: str) -> None:
    assert position_limit(tiny(name)) == 512


def test_a_model_that_reads_less_than_the_task_needs_is_refused() -> None:
    require_room(tiny_model(), "DIR", 50, 14)
    with pytest.raises(RunError, match=r"make 65 tokens, and the model DIR reads at most 64; lower them"):
        require_room(tiny_model(), "DIR", 50, 15)


@pytest.mark.parametrize("kind", ["default", *ROPE_INIT_FUNCTIONS])
def test_every_kind_of_rotary_embeddings_is_known_to_switch_or_not(kind: str) -> None:
    """Those whose code reads the length of the batch are the two that switch."""
    given = LONGROPE | {"rope_type": kind, "original_max_position_embeddings": 16, "factor": 4.0}
    config = LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=64)
    config.rope_parameters = given
    switch = length_switch(config)
    assert (switch and switch.kind) == (kind if kind in ("dynamic", "longrope") else None)
    assert switch is None or switch.tokens == 16


def test_a_switch_of_one_type_of_layers_counts_and_a_missing_length_is_the_models() -> None:
    text = {"rope_parameters": {"full_attention": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}}
    config = Gemma3Config()
    config.text_config.rope_parameters = text["rope_parameters"]
    config.text_config.max_position_embeddings = 40
    assert length_switch(config) == LengthSwitch("dynamic", 40)
    assert length_switch(LlamaConfig()) is None


def test_a_task_beyond_the_switch_is_refused() -> None:
    model = tiny_model()
    model.config.rope_parameters = LONGROPE | {"original_max_position_embeddings": 32}
    require_room(model, "DIR", 20, 12)
    with pytest.raises(
        RunError, match=r"make 33 tokens, .* takes at most 32: .*rope_type=longrope.*; lower them to 32"
    ):
        require_room(model, "DIR", 20, 13)


def test_a_response_does_not_cross_the_switch() -> None:
    switch = LengthSwitch("longrope", 32)
    assert not switch.beyond_while_sampling(20, 13)  # the last token is not read
    assert switch.beyond_while_sampling(33, 8)
    with pytest.raises(
        RunError, match="a prompt of 20 tokens and a response of up to 14: .*sampled and scored differently"
    ):
        switch.beyond_while_sampling(20, 14)


def test_frequencies_that_depend_on_earlier_rows_are_refused() -> None:
    switch = LengthSwitch("dynamic", 32)
    assert not switch.beyond(32)
    with pytest.raises(RunError, match="a row of 33 tokens: .*rope_type=dynamic.* expected at most 32"):
        switch.beyond(33)


@pytest.mark.parametrize(
    ("name", "tokens"), [("doge", 8), ("deepseek_v32", 8), ("minimax_m3_vl_text", 32), ("qwen4_exp_text", 8)]
)
def test_a_selection_of_tokens_is_a_limit(name: str, tokens: int) -> None:
    model = tiny(name)
    assert length_switch(model.config) == LengthSwitch("selection", tokens)
    require_room(model, "DIR", tokens - 2, 2)
    with pytest.raises(RunError, match=f"takes at most {tokens}: its layers attend to {tokens} selected tokens"):
        require_room(model, "DIR", tokens - 2, 3)
