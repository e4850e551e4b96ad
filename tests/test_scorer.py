import pytest
import torch
from torch import Tensor, nn

from src.records import Ids
from src.scorer import IGNORED, Scorer, keep_last_logits, response_logits
from tests.tiny import VOCABULARY, tiny_gpt2, tiny_model

PROMPTS: list[Ids] = [(5, 9, 13, 2, 40, 41, 8), (7,), (30, 3, 22), (12, 12, 12, 12, 50)]
RESPONSES: list[list[Ids]] = [
    [(4, 4, 1), (), (61, 2, 3, 4, 5, 6, 1)],
    [(33,), (20, 21, 22, 23, 24, 25, 26, 27, 1), (9, 1)],
    [(2, 3, 4, 5), (63, 1), (8, 8, 8)],
    [(1,), (17, 18, 19), ()],
]


def only(k: int) -> list[list[Ids]]:
    return [group[:k] for group in RESPONSES]


def plain_logps(model: nn.Module, prompts: list[Ids], responses: list[list[Ids]]) -> Tensor:
    """A row at a time, without padding: the whole log-softmax at every position, and the tokens' picked by hand."""

    def one(prompt: Ids, response: Ids) -> Tensor:
        table = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0].log_softmax(-1)
        # The logits at a position are about the token behind it.
        return sum((table[len(prompt) - 1 + place, token] for place, token in enumerate(response)), torch.zeros(()))

    return torch.stack(
        [
            torch.stack([one(prompt, response) for response in group])
            for prompt, group in zip(prompts, responses, strict=True)
        ]
    )


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_log_probs_are_those_of_the_plain_way(k, make):
    model = make()
    with torch.no_grad():
        logps = Scorer(rows=1).logps(model, PROMPTS, only(k))
        expected = plain_logps(model, PROMPTS, only(k))
    assert logps.shape == (4, k) and logps.dtype == torch.float32
    torch.testing.assert_close(logps, expected, rtol=1e-4, atol=1e-4)
    assert logps.min() < -10  # the numbers compared are large ones


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradients_are_those_of_the_plain_way(k):
    weights = torch.linspace(-1, 2, 4 * k).reshape(4, k)
    gradients = []
    for score in (Scorer(rows=1).logps, plain_logps):
        model = tiny_model()
        (score(model, PROMPTS, only(k)) * weights).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, expected in gradients[1].items():
        torch.testing.assert_close(
            gradients[0][name], expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item(), msg=name
        )


def test_an_empty_response_is_certain():
    with torch.no_grad():
        logps = Scorer(rows=1).logps(tiny_model(), PROMPTS, RESPONSES)
        nothing = Scorer(rows=1).logps(tiny_model(), PROMPTS[:2], [[()], [()]])
    assert logps[0, 1] == logps[3, 2] == 0
    assert nothing.tolist() == [[0], [0]]


def test_the_next_tokens_probabilities_sum_to_one():
    every = [[(token,) for token in range(VOCABULARY)]] * 2
    with torch.no_grad():
        logps = Scorer(rows=1).logps(tiny_model(), PROMPTS[:2], every)
    torch.testing.assert_close(logps.exp().sum(1), torch.ones(2))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_batch_size_does_not_matter(rows, k):
    model, heard = Counting(tiny_model()), []
    everything = Scorer(rows).all_logps(model, PROMPTS, only(k), heard.append)
    with torch.no_grad():
        torch.testing.assert_close(everything, plain_logps(model.model, PROMPTS, only(k)), rtol=1e-4, atol=1e-4)
    assert sum(model.rows) == 4 * k
    assert [k * prompts for prompts in heard] == model.rows
    assert max(model.rows) <= max(rows, k)
    assert not everything.requires_grad


def test_nothing_to_score_is_no_crash():
    assert Scorer(4).all_logps(tiny_model(), [], []).shape == (0, 2)


class Wrapped(nn.Module):
    """A model that is called through `forward` of a subclass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def device(self) -> torch.device:
        return self.model.device


class Counting(Wrapped):
    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.rows: list[int] = []

    def forward(self, input_ids: Tensor, logits_to_keep: int = 0, **arguments: object) -> object:
        self.rows.append(len(input_ids))
        return self.model(input_ids=input_ids, logits_to_keep=logits_to_keep, **arguments)


class Scrambled(Wrapped):
    """Reads other tokens where there is padding, and says nonsense about what follows it."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int = 0, **arguments: object
    ) -> object:
        padding = attention_mask == 0
        assert padding.any()
        noise = torch.randint(VOCABULARY, input_ids.shape)
        out = self.model(
            input_ids=torch.where(padding, noise, input_ids),
            attention_mask=attention_mask,
            logits_to_keep=logits_to_keep,
            **arguments,
        )
        nonsense = 1e4 * torch.randn_like(out.logits)
        out.logits = torch.where(padding[:, -out.logits.shape[1] :, None], nonsense, out.logits)
        return out


def test_padding_never_matters():
    model = tiny_model()
    for score in (Scorer(rows=100).logps, Scorer(rows=6).all_logps):
        with torch.no_grad():
            torch.testing.assert_close(
                score(Scrambled(model), PROMPTS, RESPONSES), score(model, PROMPTS, RESPONSES), rtol=1e-5, atol=1e-5
            )


def test_padding_gets_no_gradient():
    model, other = tiny_model(), tiny_model()
    Scorer(rows=1).logps(model, PROMPTS, RESPONSES).sum().backward()
    Scorer(rows=1).logps(Scrambled(other), PROMPTS, RESPONSES).sum().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4 * one.grad.abs().max().item())


class WithoutShortcut(Wrapped):
    """A model that cannot leave logits out."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, use_cache: bool) -> object:
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=use_cache
        )


def test_models_that_give_all_logits_score_the_same():
    model = tiny_model()
    assert keep_last_logits(model, 3) == {"logits_to_keep": 3}
    assert keep_last_logits(WithoutShortcut(model), 3) == {}
    with torch.no_grad():
        torch.testing.assert_close(
            Scorer(rows=1).logps(WithoutShortcut(model), PROMPTS, RESPONSES),
            Scorer(rows=1).logps(model, PROMPTS, RESPONSES),
            rtol=1e-5,
            atol=1e-5,
        )


def test_targets_are_the_responses_and_then_nothing():
    with torch.no_grad():
        logits, targets = response_logits(tiny_model(), PROMPTS[:2], [(4, 5, 6), (7,)])
    assert logits.shape == (2, 3, VOCABULARY)
    assert targets.tolist() == [[4, 5, 6], [7, IGNORED, IGNORED]]
