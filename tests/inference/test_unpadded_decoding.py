from functools import partial

import pytest
import torch

from src.inference.unpadded_decoding import UnpaddedDecoder
from tests.inference.decoders import PROMPTS, check_logits
from tests.shrunk import tiny
from tests.tiny import tiny_gpt2, tiny_model

UNCACHED = partial(UnpaddedDecoder, cached=False)


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2, partial(tiny, "mamba"), partial(tiny, "bart")])
@pytest.mark.parametrize("decoder", [UnpaddedDecoder, UNCACHED])
@pytest.mark.parametrize("k", [1, 3])
def test_logits_are_those_of_whole_rows(decoder, make, k):
    check_logits(decoder, make(), k, steps=5, leaving={1: [0], 3: [1, 2]} if k == 3 else {1: [0], 3: [1]})


@torch.no_grad()
def test_no_row_is_padded_and_a_step_is_a_token_with_a_cache():
    model, seen = tiny_model(), []
    model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    decoder = UnpaddedDecoder(model, [*PROMPTS, (4,)], 2)
    assert seen == [(4, 1), (2, 2), (2, 3), (2, 7)]
    decoder.keep(torch.tensor([0, 1, 2, 6]))
    decoder.step(torch.tensor([1, 1, 1, 1]))
    assert seen[4:] == [(4, 1), (2, 1), (2, 1)]


@torch.no_grad()
def test_without_a_cache_rows_that_left_are_not_computed():
    model, seen = tiny_model(), []
    decoder = UNCACHED(model, PROMPTS, 2)
    model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    decoder.keep(torch.tensor([2, 4]))
    decoder.step(torch.tensor([1, 1]))
    assert seen == [(1, 2), (1, 8)]


def test_a_model_without_a_cache_says_so():
    with pytest.raises(ValueError, match="OpenAIGPTLMHeadModel returns no cache"):
        UnpaddedDecoder(tiny("openai-gpt"), PROMPTS, 1)
