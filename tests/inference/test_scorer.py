import pytest
import torch
from torch import Tensor, nn
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel

from src.inference.scorer import Scorer, scorer_for
from src.inference.shared_attention import install
from src.records import Ids
from src.runtime.errors import RunError
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


ALL = 2**62
WAYS = {
    "packed": Scorer(tokens=ALL, longest=ALL, packed=True),
    "shared": Scorer(tokens=ALL, longest=ALL),
    "plain": Scorer(tokens=ALL, longest=0),
}


@pytest.fixture(params=WAYS)
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return WAYS[request.param]


def ready(model: PreTrainedModel) -> PreTrainedModel:
    assert install(model)
    return model


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_log_probs_are_those_of_a_row_at_a_time(scorer, k, make):
    model = ready(make())
    with torch.no_grad():
        logps = scorer.logps(model, PROMPTS, only(k))
        expected = plain_logps(model, PROMPTS, only(k))
    assert logps.shape == (4, k) and logps.dtype == torch.float32
    torch.testing.assert_close(logps, expected, rtol=1e-4, atol=1e-4)
    assert logps.min() < -10  # the numbers compared are large ones


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradients_are_those_of_a_row_at_a_time(scorer, k, tied):
    weights = torch.linspace(-1, 2, 4 * k).reshape(4, k)
    gradients = []
    for score in (scorer.logps, plain_logps):
        model = ready(tiny_model(tie_word_embeddings=tied))
        (score(model, PROMPTS, only(k)) * weights).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, expected in gradients[1].items():
        torch.testing.assert_close(
            gradients[0][name], expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item(), msg=name
        )


def test_fewer_key_and_value_heads_than_queries(scorer):
    model = ready(tiny_model(num_attention_heads=4, num_key_value_heads=1))
    with torch.no_grad():
        expected = plain_logps(model, PROMPTS, RESPONSES)
        torch.testing.assert_close(scorer.logps(model, PROMPTS, RESPONSES), expected, rtol=1e-4, atol=1e-4)


def test_an_empty_response_is_certain(scorer):
    model = ready(tiny_model())
    with torch.no_grad():
        logps = scorer.logps(model, PROMPTS, RESPONSES)
        nothing = scorer.logps(model, PROMPTS[:2], [[()], [()]])
    assert logps[0, 1] == logps[3, 2] == 0
    assert nothing.tolist() == [[0], [0]]


def test_the_next_tokens_probabilities_sum_to_one(scorer):
    every = [[(token,) for token in range(VOCABULARY)]] * 2
    with torch.no_grad():
        logps = scorer.logps(ready(tiny_model()), PROMPTS[:2], every)
    torch.testing.assert_close(logps.exp().sum(1), torch.ones(2))


@pytest.mark.parametrize("tokens", [1, 20, 30, 60, 1000])
@pytest.mark.parametrize("longest", [0, 15, ALL])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_token_budget_does_not_matter(tokens, longest, k):
    model, heard, seen = ready(tiny_model()), [], []
    scorer = Scorer(tokens, longest)
    model.base_model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True)
    everything = scorer.all_logps(model, PROMPTS, only(k), heard.append)
    batches = list(seen)
    with torch.no_grad():
        torch.testing.assert_close(everything, plain_logps(model, PROMPTS, only(k)), rtol=1e-4, atol=1e-4)
    assert sum(heard) == 4 and len(heard) == len(batches)
    assert all(ids.numel() <= tokens or heard[place] == 1 for place, ids in enumerate(batches))
    assert not everything.requires_grad


def test_nothing_to_score_is_no_crash(scorer):
    assert scorer.all_logps(tiny_model(), [], []).shape == (0, 2)


def test_a_prompt_is_encoded_once_and_last_tokens_not_at_all():
    seen = []
    model = ready(tiny_model())
    model.base_model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    WAYS["shared"].logps(model, [(5, 6, 7, 8)], [[(2, 3, 1), (4, 1)]])
    assert seen[0]["input_ids"].tolist() == [[5, 6, 7, 8, 2, 3, 4]]
    assert not seen[0]["use_cache"]


def test_members_are_parts_of_the_rows(scorer):
    """Members that are all the same model score the same, block by block."""
    model = ready(tiny_model())
    with torch.no_grad():
        once = scorer.logps(model, PROMPTS, RESPONSES)
        thrice = scorer.member_logps(model, 3, PROMPTS, RESPONSES)
    assert thrice.shape == (3, 4, 3)
    for member in thrice:
        torch.testing.assert_close(member, once, rtol=1e-5, atol=1e-5)


class Noise:
    """Other tokens where there is padding."""

    def __init__(self, model: PreTrainedModel) -> None:
        model.get_input_embeddings().register_forward_pre_hook(self)
        self.padded = 0

    def __call__(self, _, inputs: tuple[Tensor]) -> Tensor:
        (ids,) = inputs
        self.padded += int((ids == 0).sum())
        return torch.where(ids == 0, torch.randint(1, VOCABULARY, ids.shape), ids)


def test_padding_never_matters_and_gets_no_gradient(scorer):
    model, other = ready(tiny_model()), ready(tiny_model())
    noise = Noise(other)
    one, two = scorer.logps(model, PROMPTS, RESPONSES), scorer.logps(other, PROMPTS, RESPONSES)
    assert noise.padded == 0 if scorer.packed else noise.padded > 5
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    one.sum().backward()
    two.sum().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4 * one.grad.abs().max().item())


def test_states_and_their_head_give_the_log_probs(scorer):
    model = ready(tiny_model())
    states, head = scorer.states(model, PROMPTS, only(2))
    targets = torch.tensor([token for group in only(2) for response in group for token in response])
    table = head.logits(states).log_softmax(-1)
    assert len(table) == len(targets)
    picked = table[torch.arange(len(targets)), targets]
    torch.testing.assert_close(picked.sum(), scorer.logps(model, PROMPTS, only(2)).sum().detach(), rtol=1e-4, atol=1e-3)
    assert not states.requires_grad and (head.weight is None or not head.weight.requires_grad)


# What a model can take


def test_a_model_that_takes_shared_prompts_is_given_them():
    warnings: list[str] = []
    assert scorer_for(tiny_model(), 100, warnings.append) == Scorer(100, ALL, packed=True)
    assert scorer_for(tiny_gpt2(), 100, warnings.append) == Scorer(100, ALL, packed=True)
    assert not warnings


def test_a_model_with_its_own_attention_goes_the_plain_way_and_says_so():
    config = Gemma2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
    )  # fmt: skip
    model, warnings = Gemma2ForCausalLM(config).eval(), []
    found = scorer_for(model, 100, warnings.append)
    assert found == Scorer(100, 0)
    assert "Gemma2ForCausalLM" in warnings[0] and "encoded again for every response" in warnings[0]
    with torch.no_grad():
        expected = plain_logps(model, PROMPTS, RESPONSES)
        torch.testing.assert_close(found.logps(model, PROMPTS, RESPONSES), expected, rtol=1e-4, atol=1e-4)


def test_a_model_whose_head_does_more_goes_the_plain_way():
    class Scaled(type(tiny_model())):
        def forward(self, *args, **kwargs):
            out = super().forward(*args, **kwargs)
            out.logits = out.logits * 0.5
            return out

    model = tiny_model()
    model.__class__ = Scaled
    warnings: list[str] = []
    assert scorer_for(model, 100, warnings.append) == Scorer(100, 0)
    assert "other log-probabilities" in warnings[0]


@pytest.mark.parametrize(
    ("dtype", "off", "taken"),
    [
        (torch.float32, 2e-3, True),
        (torch.float32, 0.05, False),
        (torch.bfloat16, 0.05, True),
        (torch.bfloat16, 0.7, True),
        (torch.bfloat16, 0.9, False),
        (torch.float16, 0.7, True),
        (torch.float16, 0.9, False),
    ],
)
def test_both_ways_may_differ_by_rounding_and_no_more(monkeypatch, dtype, off, taken):
    monkeypatch.setattr(Scorer, "logps", lambda self, *_: torch.full((2, 2), -20.0 - (off if self.longest else 0)))
    found = scorer_for(tiny_model().to(dtype), 100, lambda _: None)
    assert (found.longest > 0) == taken


def test_a_prompt_is_shared_up_to_the_longest_row():
    scorer = Scorer(ALL, longest=6)
    assert scorer.shares((1, 2, 3), [(4,), (5, 6)])
    assert not scorer.shares((1, 2, 3), [(4, 7), (5, 6)])


def test_budgets_count_what_a_row_takes():
    """Shared: the prompt and its responses. Plain: a copy of the prompt for each, padded to the longest."""
    prompts, responses = [(1, 2, 3), (4, 5, 6)], [[(7,), (8, 9)], [(7,), (8, 9)]]
    for packed in (True, False):
        assert len(Scorer(12, ALL, packed).batches(prompts, responses)) == 1
        assert len(Scorer(11, ALL, packed).batches(prompts, responses)) == 2
        assert len(Scorer(36, ALL, packed).batches(prompts, responses, members=3)) == 1
        assert len(Scorer(35, ALL, packed).batches(prompts, responses, members=3)) == 2
    assert len(Scorer(20, 0).batches(prompts, responses)) == 1
    assert len(Scorer(19, 0).batches(prompts, responses)) == 2
    assert len(Scorer(60, 0).batches(prompts, responses, members=3)) == 1
    assert len(Scorer(59, 0).batches(prompts, responses, members=3)) == 2


def test_one_prompt_is_scored_too(scorer):
    model, ticks = ready(tiny_model()), []
    found = scorer.all_logps(model, PROMPTS[:1], RESPONSES[:1], ticks.append)
    with torch.no_grad():
        torch.testing.assert_close(found, plain_logps(model, PROMPTS[:1], RESPONSES[:1]), rtol=1e-4, atol=1e-4)
    assert ticks == [1]


def test_rows_longer_than_a_sliding_window_go_the_plain_way():
    model = tiny_model()
    model.config.sliding_window = 12
    scorer = scorer_for(model, ALL, pytest.fail)
    assert scorer == Scorer(ALL, 12, packed=True)
    seen = []
    model.base_model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True)
    scorer.logps(model, [(7,)], [[(2, 3), (4, 1)]])
    scorer.logps(model, [(7,) * 9], [[(2, 3), (4, 1)]])
    assert [len(ids) for ids in seen] == [1, 2]


def test_out_of_memory_names_the_key(monkeypatch):
    model = ready(tiny_model())

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    monkeypatch.setattr(model.base_model, "forward", full)
    with pytest.raises(RunError, match=r"out of memory \(CUDA out of memory\); lower model.tokens=7"):
        Scorer(7, ALL).all_logps(model, PROMPTS, RESPONSES)
