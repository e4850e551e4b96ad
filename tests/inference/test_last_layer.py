from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from src.inference import last_layer
from src.inference.sampler import Sampler
from src.inference.scorer import Scorer, scorer_for
from src.records import Ids
from tests.tiny import keys, tiny_gpt2, tiny_model

PROMPTS: list[Ids] = [(5, 9, 13), (7,), (30, 3, 22, 12, 12, 50, 41)]
RESPONSES: list[list[Ids]] = [[(4, 6), (8,)], [(2, 2, 2, 3), ()], [(9,), (11, 12, 13)]]


def gradients(scorer: Scorer, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    logps = scorer.logps(model, PROMPTS, RESPONSES)
    (logps * torch.tensor([[1.0, -2.0], [0.5, 3.0], [1.5, 0.25]])).sum().backward()
    return logps.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_log_probs_and_gradients_are_those_of_the_whole_layer() -> None:
    model = tiny_model()
    scorer = scorer_for(model, 512, pytest.fail)
    assert scorer.packed and last_layer.reads(model, torch.arange(2))
    passed: list[int] = []
    model.model.layers[-1].mlp.register_forward_hook(lambda _, inputs, __: passed.append(inputs[0].shape[1]))
    logps, slopes = gradients(scorer, model)
    # The last prompt token and all but the last token of each response.
    assert passed == [3 + 6]
    last_layer.restore(model)
    whole, expected = gradients(scorer, model)
    assert passed[1] == 11 + 6
    torch.testing.assert_close(logps, whole, rtol=1e-5, atol=1e-5)
    plain, slopes_of_plain = gradients(Scorer(512, 0), model)
    torch.testing.assert_close(logps, plain, rtol=1e-5, atol=1e-5)
    assert slopes.keys() == expected.keys() == slopes_of_plain.keys()
    for name in slopes:
        torch.testing.assert_close(slopes[name], expected[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(slopes[name], slopes_of_plain[name], rtol=1e-4, atol=1e-5)


class Halved(LlamaDecoderLayer):
    """The parts of the common form in another form."""

    def forward(self, hidden_states: Tensor, *arguments: Any, **kwargs: Any) -> Tensor:
        out: Tensor = super().forward(hidden_states, *arguments, **kwargs)
        return hidden_states + 0.5 * (out - hidden_states)


@pytest.mark.parametrize("parts", [True, False])
def test_a_layer_of_another_form_is_computed_whole(parts: bool) -> None:
    model = tiny_model()
    if parts:
        model.model.layers[-1].norm = nn.Identity()
    else:
        model.model.layers[-1].__class__ = Halved
    scorer = scorer_for(model, 512, pytest.fail)
    assert scorer.packed and last_layer.reads(model, torch.arange(2)) == {}
    found = gradients(scorer, model)[0]
    torch.testing.assert_close(found, gradients(Scorer(512, 0), model)[0], rtol=1e-5, atol=1e-5)


def test_a_model_without_such_layers_is_left_alone() -> None:
    model = tiny_gpt2()
    assert not last_layer.shorten(model) and last_layer.reads(model, torch.arange(2)) == {}


@pytest.mark.parametrize("end", [set(), {3, 9, 21}])
def test_sampling_draws_the_same_responses(end: set[int]) -> None:
    model = tiny_model()
    scorer_for(model, 512, pytest.fail)
    given = keys(len(PROMPTS), 3)
    drawn = []
    for longest in (2**62, 0):
        drawn.append(Sampler(1.0, 0, 1.0, 9, 64, longest).sample_scored(model, PROMPTS, given, end))
        last_layer.restore(model)
    drawn.append(Sampler(1.0, 0, 1.0, 9, 64, 2**62).sample_scored(model, PROMPTS, given, end))

    def tokens(groups: Sequence[Sequence[tuple[Ids, float]]]) -> list[list[Ids]]:
        return [[ids for ids, _ in group] for group in groups]

    assert tokens(drawn[0]) == tokens(drawn[1]) == tokens(drawn[2])
