import pytest
import torch
from torch.nn import functional as F

from src.inference.shared_attention import install
from src.inference.shared_decoding import SharedDecoder
from src.inference.transposed_linear import transposed_linear
from tests.inference.decoders import PROMPTS, check_logits
from tests.tiny import tiny_gpt2, tiny_model


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2, lambda: tiny_model(num_key_value_heads=1)])
@pytest.mark.parametrize("k", [1, 3])
def test_logits_are_those_of_whole_rows(make, k):
    model = make()
    assert install(model)
    # One response leaves, then two prompts with all of theirs, which removes their keys and values.
    leaving = {1: [0], 3: list(range(k - 1, 3 * k - 1))}
    check_logits(SharedDecoder, model, k, steps=20, leaving=leaving)  # more steps than the first room has tokens


@torch.no_grad()
def test_a_prompt_is_encoded_once_for_all_of_its_responses():
    model, seen = tiny_model(), []
    assert install(model)
    model.base_model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True)
    decoder = SharedDecoder(model, PROMPTS, 4)
    decoder.step(torch.zeros(4 * len(PROMPTS), dtype=torch.long))
    assert [ids.numel() for ids in seen] == [sum(map(len, PROMPTS)), 4 * len(PROMPTS)]


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "linear"), [(torch.float32, transposed_linear), (torch.bfloat16, F.linear)])
def test_products_are_transposed_in_float32_on_a_cpu_only(dtype, linear):
    model = tiny_model().to(dtype)
    assert install(model)
    decoder = SharedDecoder(model, PROMPTS, 2)
    assert decoder.linear is linear
    assert bool(decoder.layers) == (dtype == torch.float32)
