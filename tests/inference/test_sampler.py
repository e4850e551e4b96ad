import itertools
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from src.inference.sampler import Sampler, draw
from src.inference.scorer import Scorer
from src.inference.shared_attention import install
from src.inference.uniforms import PromptKeys, uniforms
from src.records import Ids
from tests import tiny

pytestmark = pytest.mark.slow

PROMPTS: list[Ids] = [(5, 9, 13), (7,), (30, 3, 22, 12, 12, 50, 41), (8, 8), (61, 2, 33, 4)]
NEVER = {10**6}  # an end token that is no token of the model
# A vocabulary small enough to count everything that can happen.
FEW, END = 6, 1
FEW_PROMPTS: list[Ids] = [(2, 3, 4, 5, 0), (4,)]


LONGEST = {"plain": 0, "shared": 2**62}


@pytest.fixture(params=LONGEST, autouse=True)
def way(request, monkeypatch):
    """Every test decodes both ways."""
    monkeypatch.setattr(sys.modules[__name__], "way_now", request.param)
    return request.param


way_now = "plain"


def sampler(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, tokens: int = 12, rows: int = 100) -> Sampler:
    return Sampler(temperature, top_k, top_p, tokens, rows, LONGEST[way_now])


def ready(model: nn.Module) -> nn.Module:
    assert install(model)
    return model


def tiny_model(*args: object, **kwargs: object) -> nn.Module:
    return ready(tiny.tiny_model(*args, **kwargs))


def tiny_gpt2() -> nn.Module:
    return ready(tiny.tiny_gpt2())


def keys(prompts: list[Ids], k: int, seed: int = 0) -> torch.Tensor:
    return tiny.keys(len(prompts), k, seed)


def few_model() -> nn.Module:
    return tiny_model(seed=3, vocab_size=FEW, initializer_range=0.15)


@torch.no_grad()
def next_probabilities(model: nn.Module, ids: Ids, temperature: float = 1.0) -> np.ndarray:
    logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
    return (logits / temperature).softmax(-1).numpy()


def generated(model: nn.Module, prompts: list[Ids], ends: set[int], tokens: int) -> list[Ids]:
    """What transformers' own greedy generation says, without the padding behind the end."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    out = model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, eos_token_id=sorted(ends), pad_token_id=0
    )
    rows = [row[longest:] for row in out.tolist()]
    stops = [next((place + 1 for place, token in enumerate(row) if token in ends), len(row)) for row in rows]
    return [tuple(row[:stop]) for row, stop in zip(rows, stops, strict=True)]


@pytest.mark.parametrize("make", [tiny_model, tiny_gpt2])
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_greedy_is_transformers_generation(rows, make):
    model = make()
    free = generated(model, PROMPTS, NEVER, 12)
    # Ends that some responses meet, at different places, and others do not.
    ends = {free[0][4], free[1][1], free[2][9]}
    expected = generated(model, PROMPTS, ends, 12)
    assert len({len(response) for response in expected}) >= 3
    assert expected == [generated(model, [prompt], ends, 12)[0] for prompt in PROMPTS]
    sampled = sampler(temperature=0, rows=rows).sample(model, PROMPTS, keys(PROMPTS, 1), ends)
    assert [group[0] for group in sampled] == expected


def test_greedy_responses_to_one_prompt_are_all_the_same_whatever_the_keys():
    model = tiny_model()
    first, other = (sampler(temperature=0).sample(model, PROMPTS, keys(PROMPTS, 3, seed), NEVER) for seed in (0, 1))
    assert all(len(group) == 3 and len(set(group)) == 1 for group in first)
    assert first == other


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_first_two_tokens_follow_the_models_probabilities(temperature):
    model, count = few_model(), 3000
    sampled = sampler(temperature, tokens=2, rows=10**4).sample(model, FEW_PROMPTS, keys(FEW_PROMPTS, count), {END})
    for prompt, group in zip(FEW_PROMPTS, sampled, strict=True):
        first = next_probabilities(model, prompt, temperature)
        outcomes = {(END,): first[END]}
        for token in set(range(FEW)) - {END}:
            second = next_probabilities(model, (*prompt, token), temperature)
            outcomes |= {(token, other): first[token] * second[other] for other in range(FEW)}
        seen = Counter(group)
        assert set(seen) <= set(outcomes)
        # Outcomes too rare for the chi-square distribution are counted together.
        common = [outcome for outcome, probability in outcomes.items() if probability * count >= 10]
        assert len(common) > 8
        observed, expected = [seen[o] for o in common], [outcomes[o] * count for o in common]
        observed, expected = [*observed, count - sum(observed)], [*expected, count - sum(expected)]
        assert chisquare(observed, expected).pvalue > 1e-3


def restricted(probabilities: np.ndarray, top_k: int, top_p: float) -> dict[int, float]:
    """The tokens that may be drawn, most likely first, with their probabilities."""
    order = np.argsort(-probabilities)
    kept = list(order[: top_k or len(order)])
    if top_p < 1:
        whole = probabilities[kept].sum()
        fewest = next(n for n in range(1, len(kept) + 1) if probabilities[kept[:n]].sum() / whole >= top_p)
        kept = kept[:fewest]
    return {int(token): probabilities[token] / probabilities[kept].sum() for token in kept}


@pytest.mark.parametrize(
    ("top_k", "top_p"),
    [(1, 1.0), (2, 1.0), (5, 1.0), (6, 1.0), (50, 1.0), (0, 1e-6), (0, 0.4), (0, 0.7), (0, 0.95), (3, 0.6)],
)
def test_top_k_and_top_p_restrict_the_support_exactly(top_k, top_p):
    model, count = few_model(), 2000
    sampled = sampler(1.0, top_k, top_p, tokens=1, rows=10**4).sample(
        model, FEW_PROMPTS, keys(FEW_PROMPTS, count, 1), NEVER
    )
    for prompt, group in zip(FEW_PROMPTS, sampled, strict=True):
        expected = restricted(next_probabilities(model, prompt), top_k, top_p)
        seen = Counter(response[0] for response in group)
        assert seen.keys() == expected.keys()
        if len(expected) > 1:
            frequencies = [seen[token] for token in expected]
            assert chisquare(frequencies, [p * count for p in expected.values()]).pvalue > 1e-3


def test_restrictions_are_of_different_sizes():
    # The test above would see nothing if they all kept one token, or all of them.
    probabilities = [next_probabilities(few_model(), prompt) for prompt in FEW_PROMPTS]
    sizes = {len(restricted(p, 0, top_p)) for p in probabilities for top_p in (1e-6, 0.4, 0.7, 0.95)}
    assert len(sizes) >= 4


@pytest.mark.parametrize("rows", [2, 7, 100])
def test_responses_end_with_an_end_token_or_are_cut_without_one(rows):
    ends, limit = {END, 3}, 5
    sampled = sampler(tokens=limit, rows=rows).sample(few_model(), FEW_PROMPTS * 10, keys(FEW_PROMPTS * 10, 3), ends)
    responses = list(itertools.chain(*sampled))
    assert all(1 <= len(response) <= limit for response in responses)
    assert all(not set(response[:-1]) & ends for response in responses)
    ended = [response for response in responses if response[-1] in ends]
    assert {response[-1] for response in ended} == ends
    assert {len(response) for response in responses if response not in ended} == {limit}
    assert {len(response) for response in ended} == set(range(1, limit + 1))


def test_the_keys_make_the_responses_and_neither_the_batch_nor_the_order():
    model, ends = tiny_model(), {1, 2, 3, 4}
    given, others = keys(PROMPTS, 2, 0), keys(PROMPTS, 2, 1)
    first, other = (sampler().sample(model, PROMPTS, either, ends) for either in (given, others))
    assert first != other
    assert all(sampler(rows=rows).sample(model, PROMPTS, given, ends) == first for rows in (1, 2, 4, 7))
    backwards = sampler(rows=4).sample(model, PROMPTS[::-1], given.flip(0), ends)
    assert backwards[::-1] == first
    assert sampler().sample(model, PROMPTS[2:3], given[2:3, 1:], ends) == [[first[2][1]]]


def test_a_response_that_ends_elsewhere_leaves_the_others_as_they_are():
    """The draws of a row were once those of the rows before it that had not ended."""
    model = tiny_model()
    given = keys(PROMPTS, 2)
    first = sampler().sample(model, PROMPTS, given, NEVER)
    end = first[0][0][1]
    cut = sampler().sample(model, PROMPTS, given, {end})
    for group, free in zip(itertools.chain(*cut), itertools.chain(*first), strict=True):
        assert group == free[: free.index(end) + 1 if end in free else len(free)]


def test_k_responses_to_each_prompt_in_the_prompts_order():
    heard = []
    sampled = sampler(rows=7).sample(tiny_model(), PROMPTS, keys(PROMPTS, 3), NEVER, heard.append)
    assert heard == [2, 2, 1]
    assert [len(group) for group in sampled] == [3] * 5
    assert all(len(set(group)) == 3 for group in sampled)
    assert sampler().sample(tiny_model(), [], keys([], 3), NEVER) == []


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.7, 5), (0.0, 0)])
def test_log_probs_of_sampling_are_the_scorers_at_temperature_1(temperature, top_k):
    prompts, k, ends = PROMPTS * 2, 3, set(range(0, 64, 4))
    model = tiny_model()
    drawn = sampler(temperature, top_k, tokens=10, rows=9).sample_scored(model, prompts, keys(prompts, k), ends)
    lengths = {len(ids) for group in drawn for ids, _ in group}
    assert len(lengths) > (3 if temperature else 1)  # rows leave the batch at different steps
    scored = Scorer(tokens=200, longest=0).all_logps(model, prompts, [[ids for ids, _ in group] for group in drawn])
    logps = torch.tensor([[logp for _, logp in group] for group in drawn])
    torch.testing.assert_close(logps, scored, rtol=1e-5, atol=1e-4)


def test_the_last_token_costs_no_forward_pass_where_all_have_ended():
    model, passes = few_model(), []
    model.base_model.register_forward_hook(lambda *_: passes.append(1))
    sampled = sampler(tokens=50).sample(model, FEW_PROMPTS, keys(FEW_PROMPTS, 1), {0, 1, 2, 3, 4, 5})
    assert [len(group[0]) for group in sampled] == [1, 1]
    assert len(passes) == 1


def test_both_ways_draw_the_same_responses_with_prompts_leaving_at_any_time():
    # Ends that responses meet early and late, so that rows go, and prompts with all of their rows.
    model, prompts = tiny_model(), PROMPTS * 6
    for ends in ({1, 2, 3}, set(range(0, 64, 4)), NEVER):
        plain, shared = (
            Sampler(1.0, 0, 1.0, 40, 64, longest).sample(model, prompts, keys(prompts, 3, 5), ends)
            for longest in LONGEST.values()
        )
        assert plain == shared


def test_prompts_with_long_responses_go_the_plain_way_where_a_window_is_shorter():
    model, seen = tiny_model(), []
    model.base_model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    for longest, dimensions in ((14, 4), (13, 2)):  # the longest prompt has 7 tokens, and 7 more may come
        seen.clear()
        Sampler(1.0, 0, 1.0, 7, 64, longest).sample(model, PROMPTS, keys(PROMPTS, 2), NEVER)
        assert {inputs["attention_mask"].dim() for inputs in seen} == {dimensions}


def test_a_draw_from_a_large_vocabulary_follows_the_probabilities_down_to_the_rare_ones():
    entries, count = 20_000, 10_000
    weights = torch.rand(entries, generator=torch.Generator().manual_seed(3)) ** 8
    weights[::7] = 0
    weights[[5, 15_000]] = torch.tensor([weights.sum() * 0.2, weights.sum() * 0.1])
    probabilities = weights / weights.sum()
    points = uniforms(PromptKeys(0).take(1000), count // 1000)
    drawn = torch.cat([draw(probabilities.expand(1000, -1), points[:, [i]]) for i in range(count // 1000)])
    seen = torch.bincount(drawn, minlength=entries).double()
    assert seen[probabilities == 0].sum() == 0
    # Both large ones by themselves, the rest in ten parts of the vocabulary.
    large = [5, 15_000]
    rest = torch.ones(entries, dtype=torch.bool)
    rest[large] = False
    parts = [part[rest[part]] for part in torch.arange(entries).chunk(10)]
    observed = [*seen[large].tolist(), *(seen[part].sum().item() for part in parts)]
    expected = [*probabilities[large].tolist(), *(probabilities[part].sum().item() for part in parts)]
    assert chisquare(observed, [p / sum(expected) * count for p in expected]).pvalue > 1e-3


def test_a_draw_never_takes_what_has_no_probability_or_is_beyond_the_end():
    table = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    for value in (0.0, 1 - 2**-53):
        points = torch.full((2, 1), value, dtype=torch.float64)
        assert draw(table, points).tolist() == [1 if value == 0 else 3, 2]
