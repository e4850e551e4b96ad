"""What computes the states below the head."""

import pytest
import torch

from src.models.decoder import decoder_of
from tests.shrunk import tiny
from tests.tiny import tiny_model


@pytest.mark.parametrize("name", ["llama", "llama4", "gpt2", "gemma3"])
def test_the_decoder_gives_states(name: str) -> None:
    model = tiny(name)
    with torch.no_grad():
        states = decoder_of(model)(input_ids=torch.arange(5)[None], use_cache=False).last_hidden_state
    assert states.shape == (1, 5, 32)


def test_a_model_without_one_is_its_own_decoder() -> None:
    model = tiny_model()
    type(model).base_model_prefix, before = "nothing", type(model).base_model_prefix
    try:
        assert decoder_of(model) is model.model
        del model.model
        assert decoder_of(model) is model
    finally:
        type(model).base_model_prefix = before
