"""Which decoder a model gets where its prompts are not shared."""

import pytest

from src.inference.plain_choice import UNCACHED, plain_decoder
from src.inference.plain_decoding import PlainDecoder
from src.inference.scorer import scorer_for
from src.inference.unpadded_decoding import UnpaddedDecoder
from tests.shrunk import tiny
from tests.tiny import tiny_model


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", PlainDecoder),
        ("deepseek_v3", PlainDecoder),
        ("roberta", UnpaddedDecoder),  # padding on the left moves positions
        ("bart", UnpaddedDecoder),
        ("mamba", UnpaddedDecoder),  # states that cannot be copied row by row
        ("rwkv", UNCACHED),  # other states for several rows of one token
        ("openai-gpt", UNCACHED),  # no cache
        ("moshi", UNCACHED),  # a cache that gives other logits
    ],
)
def test_the_fastest_decoder_that_is_right(name: str, expected: object) -> None:
    model, heard = tiny(name), []
    scorer_for(model, 1000, heard.append)
    assert plain_decoder(model) is expected
    assert any("cannot be sampled with a cache" in text for text in heard) == (expected is UNCACHED and name != "moshi")


@pytest.mark.parametrize(("name", "expected"), [("roberta", UnpaddedDecoder), ("mamba", UnpaddedDecoder)])
def test_it_is_found_without_a_scorer(name: str, expected: object) -> None:
    assert plain_decoder(tiny(name)) is expected


def test_a_usual_model_is_not_tried_before_it_is_sampled() -> None:
    model, passes = tiny_model(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    assert plain_decoder(model) is PlainDecoder and not passes
