"""Rows by themselves, and what is refused because of them."""

import pytest
import torch
from transformers import BertConfig, BertLMHeadModel

from src.inference.plain_decoding import PlainDecoder
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, scorer_for
from src.inference.self_check import decoded_logps, equal_up_to_rounding, trial_of
from src.runtime.errors import RunError
from tests.shrunk import WINDOW, tiny
from tests.tiny import keys, tiny_gpt2, tiny_model

ENCODER = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "initializer_range": 0.3,
}  # fmt: skip


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
def test_scoring_and_decoding_are_compared_with_rows_by_themselves(make) -> None:
    model = make()
    trial = trial_of(model, None)
    with torch.no_grad():
        assert trial.agrees(Scorer(1000, 0).logps(model, trial.prompts, trial.responses))
    assert trial.agrees(decoded_logps(PlainDecoder, model, trial))
    assert not trial.agrees(trial.logps + 0.1)


def test_rows_exceed_the_window_and_stay_within_the_models_positions() -> None:
    longest = max(len(prompt) for prompt in trial_of(tiny_model(), None).prompts)
    assert max(len(prompt) for prompt in trial_of(tiny_model(), 40).prompts) > 40 > longest
    assert max(len(prompt) for prompt in trial_of(tiny_model(), 62).prompts) == longest
    within = trial_of(tiny_model(), 40).within(WINDOW)
    assert [len(prompt) for prompt in within.prompts] == [1, 2] and within.logps.shape == (2, 2)


def test_a_bidirectional_encoder_is_refused() -> None:
    model = BertLMHeadModel(BertConfig(**ENCODER)).eval()
    with pytest.raises(RunError, match="BertLMHeadModel is no causal language model as configured: .*is_decoder=false"):
        scorer_for(model, 100, pytest.fail)
    decoder = BertLMHeadModel(BertConfig(**ENCODER, is_decoder=True)).eval()
    assert scorer_for(decoder, 100, lambda _: None).longest == 0


def test_a_selection_among_all_tokens_of_a_row_is_refused_beyond_what_it_keeps() -> None:
    """Doge keeps the best tokens of a row: later tokens displace earlier ones once there are more than it keeps."""
    model = tiny("doge", keep_window_size=24)
    scorer, row = scorer_for(model, 100, lambda _: None), tuple(range(10, 30))
    assert max(len(prompt) for prompt in trial_of(model, None).prompts) <= 22
    scorer.all_logps(model, [row], [[(4, 4)]])
    with pytest.raises(RunError, match="a row of 25 tokens: .* attend to 24 selected tokens"):
        scorer.all_logps(model, [row], [[(4,) * 6]])
    sampler = Sampler(1.0, 0, 1.0, max_new_tokens=6, rows=4, longest=scorer.longest)
    with pytest.raises(RunError, match="a row of 25 tokens"):
        sampler.sample(model, [row], keys(1, 1), {1})


def test_a_model_that_computes_nothing_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()

    def fails(*_: object, **__: object) -> None:
        raise ValueError("no language is set\nand more")

    model.forward = fails
    with pytest.raises(RunError, match=r"computes no row of 1 tokens \(.*no language is set") as caught:
        scorer_for(model, 100, pytest.fail)
    assert "\n" not in str(caught.value)


def test_a_model_whose_padding_matters_is_refused() -> None:
    class Peeking(type(tiny_model())):
        def forward(self, *args, attention_mask=None, **kwargs):
            return super().forward(
                *args, **kwargs, attention_mask=None if attention_mask is None else 0 * attention_mask + 1
            )

    class Shifted(type(tiny_model())):
        def forward(self, *args, attention_mask=None, **kwargs):
            out = super().forward(*args, **kwargs)
            padding = 0 if attention_mask is None else (attention_mask == 0).sum()
            out.logits = out.logits * (1 + padding / 10)
            return out

    model = tiny_model()
    model.__class__ = Shifted
    with pytest.raises(RunError, match=r"scores a batch of padded rows differently .* \(by up to .* nats\)"):
        scorer_for(model, 100, pytest.fail)
    harmless = tiny_model()
    harmless.__class__ = Peeking  # causal attention never reads the padding behind a row
    scorer_for(harmless, 100, lambda _: None)


def test_rounding_of_16_bits_is_no_difference() -> None:
    ours, expected = torch.tensor([[-20.5]]), torch.tensor([[-20.0]])
    assert equal_up_to_rounding(ours, expected, coarse=True) and not equal_up_to_rounding(ours, expected, coarse=False)
