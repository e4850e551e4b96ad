"""Sampling on the device: the distribution, the log-probs of what was drawn, and greedy decoding."""

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from src.inference.sampler import Sampler
from src.inference.scorer import scorer_for
from src.records import Ids
from tests.tiny import VOCABULARY, keys, tiny_model

PROMPTS: list[Ids] = [(5, 9, 13, 2, 40, 41, 8), (7,), (30, 3, 22)]
NEVER: frozenset[int] = frozenset()
# Responses to one prompt, and outcomes expected fewer times than this, which are counted together.
DRAWN, RARE = 4000, 10


def sampler(longest: int, tokens: int = 8, temperature: float = 1.0) -> Sampler:
    return Sampler(temperature, 0, 1.0, tokens, 10**5, longest)


@pytest.mark.parametrize("longest", [0, 2**62], ids=["plain", "shared"])
def test_first_tokens_follow_the_processors_probabilities(device: torch.device, longest: int) -> None:
    plain = tiny_model(initializer_range=0.15)
    model = tiny_model(initializer_range=0.15).to(device)
    scorer_for(model, 4096, print)  # installs attention with shared prompts
    groups = sampler(longest, tokens=1).sample(model, PROMPTS, keys(len(PROMPTS), DRAWN), NEVER)
    for prompt, group in zip(PROMPTS, groups, strict=True):
        with torch.no_grad():
            expected = plain(input_ids=torch.tensor([prompt])).logits[0, -1].double().softmax(-1) * DRAWN
        seen = Counter(response[0] for response in group)
        common = [token for token in range(VOCABULARY) if expected[token] >= RARE]
        observed = [seen[token] for token in common]
        wanted = [float(expected[token]) for token in common]
        assert len(common) > 20
        p = chisquare([*observed, DRAWN - sum(observed) + 1e-9], [*wanted, DRAWN - sum(wanted) + 1e-9]).pvalue
        assert p > 1e-3


@pytest.mark.parametrize("longest", [0, 2**62], ids=["plain", "shared"])
def test_log_probs_of_sampling_are_those_of_scoring(device: torch.device, longest: int) -> None:
    model = tiny_model().to(device)
    scorer = scorer_for(model, 4096, print)
    drawn = sampler(longest).sample_scored(model, PROMPTS, keys(len(PROMPTS), 2), frozenset({1}))
    with torch.no_grad():
        scored = scorer.logps(model, PROMPTS, [[ids for ids, _ in group] for group in drawn])
    of_sampling = torch.tensor([[logp for _, logp in group] for group in drawn])
    torch.testing.assert_close(of_sampling, scored.cpu(), rtol=1e-4, atol=1e-4)


def test_greedy_responses_are_the_processors(device: torch.device) -> None:
    def greedy(on: torch.device) -> list[list[Ids]]:
        model = tiny_model().to(on)
        scorer_for(model, 4096, print)
        return sampler(2**62, temperature=0.0).sample(model, PROMPTS, keys(len(PROMPTS), 1), NEVER)

    assert greedy(device) == greedy(torch.device("cpu"))
