"""Plain rows: models count positions by themselves, and rows on two sides of a rotary switch are computed apart."""

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from src.inference.sampler import Sampler
from src.inference.scorer import scorer_for
from src.records import Ids
from src.runtime.errors import RunError
from tests.shrunk import tiny
from tests.tiny import DIMENSIONS, VOCABULARY, keys

SWITCH = 16
KINDS = {
    "longrope": {"short_factor": [1.0] * 8, "long_factor": [8.0] * 8, "factor": 4.0},
    "dynamic": {"factor": 4.0},
    "linear": {"factor": 4.0},
    "yarn": {"factor": 4.0},
    "llama3": {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
}


def some(length: int) -> Ids:
    return tuple((7 * place * place + length) % (VOCABULARY - 2) + 2 for place in range(length))


SHORT, LONG = some(6), some(20)


def model_with(kind: str) -> LlamaForCausalLM:
    rope = {"rope_type": kind, "rope_theta": 100.0, "original_max_position_embeddings": SWITCH} | KINDS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(**DIMENSIONS, rope_parameters=rope)
        if kind == "dynamic":
            config.max_position_embeddings = SWITCH
        return LlamaForCausalLM(config).eval()


@torch.no_grad()
def alone(model: LlamaForCausalLM, prompt: Ids, response: Ids) -> Tensor:
    table = model(input_ids=torch.tensor([[*prompt, *response]]), use_cache=False).logits[0].log_softmax(-1)
    return sum(table[len(prompt) - 1 + place, token] for place, token in enumerate(response))


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_row_scores_the_same_beside_a_long_one(kind: str) -> None:
    model = model_with(kind)
    scorer = scorer_for(model, 4096, pytest.fail)
    short = [some(3), some(5)]
    expected = torch.stack([alone(model, SHORT, response) for response in short])
    torch.testing.assert_close(scorer.all_logps(model, [SHORT], [short])[0], expected, rtol=1e-5, atol=1e-4)
    if kind == "dynamic":
        with pytest.raises(RunError, match="rope_type=dynamic"):
            scorer.all_logps(model, [SHORT, LONG], [short, short])
        return
    both = torch.stack([expected, torch.stack([alone(model, LONG, response) for response in short])])
    torch.testing.assert_close(scorer.all_logps(model, [SHORT, LONG], [short, short]), both, rtol=1e-5, atol=1e-4)
    # In one pass, and with one response on each side of the switch.
    with torch.no_grad():
        ours = scorer.logps(model, [LONG, SHORT], [short, [some(3), some(14)]])
    apart = torch.stack([both[1], torch.stack([expected[0], alone(model, SHORT, some(14))])])
    torch.testing.assert_close(ours, apart, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_prompt_is_sampled_the_same_beside_a_long_one(kind: str) -> None:
    model = model_with(kind)
    sampler = Sampler(1.0, 0, 1.0, max_new_tokens=8, rows=10, longest=scorer_for(model, 4096, pytest.fail).longest)
    prompts = [SHORT] if kind == "dynamic" else [SHORT, LONG]
    drawn = sampler.sample_scored(model, prompts, keys(len(prompts), 2), {10**6})
    for prompt, group in zip(prompts, drawn, strict=True):
        for ids, logp in group:
            assert logp == pytest.approx(alone(model, prompt, ids).item(), abs=1e-3)
    crossing = some(SWITCH - 3)
    if kind in ("dynamic", "longrope"):
        with pytest.raises(RunError, match=f"rope_type={kind}"):
            sampler.sample(model, [SHORT, crossing], keys(2, 2), {10**6})
    else:
        sampler.sample(model, [SHORT, crossing], keys(2, 2), {10**6})


def test_the_switch_shows_in_the_numbers() -> None:
    """The tests above can tell: the long frequencies give other log-probabilities."""
    model = model_with("longrope")
    before = alone(model, SHORT, some(3))
    model.config.rope_parameters["original_max_position_embeddings"] = 4
    assert abs(alone(model, SHORT, some(3)) - before) > 0.1


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "camembert", "data2vec-text", "roberta-prelayernorm"])
def test_positions_that_begin_behind_the_padding_token(name: str) -> None:
    model = tiny(name, pad_token_id=1)
    scorer = scorer_for(model, 4096, lambda _: None)
    expected = torch.stack([alone(model, prompt, some(4)) for prompt in (SHORT, LONG)])[:, None]
    torch.testing.assert_close(scorer.all_logps(model, [SHORT, LONG], [[some(4)]] * 2), expected, rtol=1e-5, atol=1e-4)
    sampler = Sampler(1.0, 0, 1.0, max_new_tokens=4, rows=10, longest=scorer.longest)
    for prompt, group in zip(
        (SHORT, LONG), sampler.sample_scored(model, [SHORT, LONG], keys(2, 1), {10**6}), strict=True
    ):
        assert group[0][1] == pytest.approx(alone(model, prompt, group[0][0]).item(), abs=1e-3)
