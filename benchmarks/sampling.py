"""Sampling two responses to each prompt: ours against `generate` of transformers, on the same prompts in order.

    python -m benchmarks.sampling model=smollm2_135m model.path=DIR data.path=DIR pairs=16 json=FILE

ratio_generate                            our tokens a second relative to theirs, all responses task.max_new_tokens long
ratio_generate_ends                       the same with responses that end where the model ends them, at random lengths
tokens_per_second, tokens_per_second_ends of ours, for both kinds of responses

Our time includes folding the adapters into the weights. generate runs at its best: on a plain model, as if adapters
were folded already, with its key-value cache, num_return_sequences=2, and batches of as many responses (model.rows).
start=sft samples from the SFT policy, whose responses are as long as labels. Keys of benchmarks, with their values:
conf/bench.yaml; the others: src.train --help.
"""

import statistics
from typing import Any

import torch

from benchmarks.arguments import Bench, command
from benchmarks.figures import ratio
from benchmarks.material import Material, material
from benchmarks.ours import new_policy, plain_model
from benchmarks.outcome import finish
from benchmarks.sides import Side, Turns, Work, alternate_as_asked
from src.inference.sampler import Sampler
from src.inference.scorer import scorer_for
from src.inference.uniforms import PromptKeys, response_keys
from src.models.pretrained import load_tokenizer
from src.models.template import template_of
from src.runtime.device import choose_device
from src.runtime.report import Report
from src.runtime.seeding import stream_seed

K = 2


def ours_fixed(turns: Turns, given: Material) -> None:
    """Our sampling, responses of a fixed length: no token ends a response."""
    _ours(turns, given, ends=False)


def ours_ends(turns: Turns, given: Material) -> None:
    """Our sampling, responses ended by the template's end tokens."""
    _ours(turns, given, ends=True)


def _ours(turns: Turns, given: Material, ends: bool) -> None:
    policy = new_policy(given, given.config.ensemble)
    end_ids = template_of(policy, given.config.model.template).end_ids if ends else frozenset()
    scorer = scorer_for(policy.model, given.config.model.tokens, Report().warn)
    sampler = Sampler(1.0, 0, 1.0, given.config.task.max_new_tokens, given.config.model.rows, scorer.longest)
    turns.ready()
    for turn, batch in enumerate(given.batches):
        keys = response_keys(PromptKeys(stream_seed(given.config.seed, "bench", turn)).take(len(batch)), 0, K)
        turns.wait()
        with policy.using(policy.mean()) as model:
            drawn = sampler.sample(model, [prompt.ids for prompt in batch], keys, end_ids)
        turns.done(tokens=sum(len(response) for responses in drawn for response in responses))


def generate_fixed(turns: Turns, given: Material) -> None:
    """`generate`, responses of a fixed length."""
    _generate(turns, given, ends=False)


def generate_ends(turns: Turns, given: Material) -> None:
    """`generate`, responses ended by the template's end tokens."""
    _generate(turns, given, ends=True)


def _generate(turns: Turns, given: Material, ends: bool) -> None:
    device = choose_device(given.config.device)
    model = plain_model(given).to(device).eval()  # type: ignore[arg-type]
    tokenizer = load_tokenizer(given.base)
    end_ids = sorted(template_of(new_policy(given, 1), given.config.model.template).end_ids) if ends else None
    model.generation_config.eos_token_id = end_ids
    model.generation_config.pad_token_id = pad = tokenizer.eos_token_id
    size = max(1, given.config.model.rows // K)
    turns.ready()
    for turn, batch in enumerate(given.batches):
        torch.manual_seed(stream_seed(given.config.seed, "bench", turn))
        turns.wait()
        tokens = 0
        for start in range(0, len(batch), size):
            prompts = [prompt.ids for prompt in batch[start : start + size]]
            longest = max(map(len, prompts))
            ids = torch.tensor([[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
            mask = torch.tensor(
                [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device
            )
            with torch.no_grad():
                out = model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    do_sample=True,
                    temperature=1.0,
                    top_k=0,
                    top_p=1.0,
                    num_return_sequences=K,
                    max_new_tokens=given.config.task.max_new_tokens,
                    use_cache=True,
                )
            tokens += _response_tokens(out[:, longest:], end_ids)
        turns.done(tokens=tokens)


def _response_tokens(drawn: torch.Tensor, end_ids: list[int] | None) -> int:
    """Tokens of all responses (rows, length), each up to its first end token, that token included."""
    if end_ids is None:
        return drawn.numel()
    ended = torch.isin(drawn, torch.tensor(end_ids, device=drawn.device)).int()
    return int((ended.cumsum(1) - ended == 0).sum())


VARIANTS: dict[str, dict[str, Work]] = {
    "": {"ours": ours_fixed, "generate": generate_fixed},
    "_ends": {"ours": ours_ends, "generate": generate_ends},
}


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    measured: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    with report.live(), material(bench, report) as given:
        for suffix, sides in VARIANTS.items():
            chosen = {
                name: (work, given) for name, work in sides.items() if name == "ours" or bench.keys.peer != "none"
            }
            done = alternate_as_asked(chosen, bench, report)
            measured += [("ends" if suffix else "fixed lengths", side) for side in done.values()]
            # Seconds a token: their ratio, theirs to ours, is that of tokens a second, ours to theirs.
            costs = {name: [turn["seconds"] / turn["tokens"] for turn in side.turns] for name, side in done.items()}
            figures[f"tokens_per_second{suffix}"] = 1 / statistics.median(costs["ours"])
            if "generate" in costs:
                figures |= ratio(costs["generate"], costs["ours"]).named(f"ratio_generate{suffix}")
    return finish("sampling", bench, figures, measured, report)


if __name__ == "__main__":
    command(__doc__ or "", ("peer", "start"), measure)
