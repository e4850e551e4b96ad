import pytest
import torch

from src.inference.plain_decoding import PlainDecoder
from tests.inference.decoders import PROMPTS, check_logits
from tests.tiny import VOCABULARY, tiny_gpt2, tiny_model


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
@pytest.mark.parametrize("k", [1, 3])
def test_logits_are_those_of_whole_rows(make, k):
    check_logits(PlainDecoder, make(), k, steps=5, leaving={1: [0], 3: [1, 2]})


@torch.no_grad()
def test_only_the_last_positions_logits_are_computed():
    model, shapes = tiny_model(), []
    model.lm_head.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    PlainDecoder(model, PROMPTS, 2)
    assert shapes == [(len(PROMPTS), 1, VOCABULARY)]
