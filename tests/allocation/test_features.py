"""Gradient features against autograd, a response at a time."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from src.allocation.features import gradient_sketches, sketched_layers
from src.allocation.sketch import CountSketch
from src.inference.scorer import Scorer
from src.inference.shared_attention import install
from src.losses.base import PairLogps
from src.losses.dpo import DPO
from src.losses.ipo import IPO
from src.losses.slic import SLiC
from src.models.lora import LoraSpec
from src.models.policy import Policy
from src.records import Ids
from tests.tiny import tiny_gpt2, tiny_model, tiny_tokenizer

PROMPTS: list[Ids] = [(5, 9, 13, 2, 40, 41, 8), (7,), (30, 3, 22), (12, 12, 12, 12, 50)]
RESPONSES: list[list[Ids]] = [
    [(4, 4, 1), (9,), (61, 2, 3, 4, 5, 6, 1)],
    [(33,), (20, 21, 22, 23, 24, 25, 26, 27, 1), (9, 1)],
    [(2, 3, 4, 5), (63, 1)],
    [(1,), (17, 18, 19), (4, 4)],
]
ALL = 2**62
SHARED, PLAIN = Scorer(ALL, ALL), Scorer(ALL, 0)
SKETCH = CountSketch(256, 3)


def policy(members: int = 0, gpt2: bool = False, checkpointing: bool = False, dropout: float = 0.0) -> Policy:
    """A tiny policy that trains all weights, or that many members with adapters that are not zero."""
    model = tiny_gpt2() if gpt2 else tiny_model()
    assert install(model)
    spec = LoraSpec(rank=3, alpha=6, dropout=dropout, targets="all-linear") if members else None
    made = Policy(model, tiny_tokenizer(), "base", spec, members or 1, checkpointing)
    made.initialize_adapters(0)
    generator = torch.Generator().manual_seed(0)
    for layer in made.layers.values():
        layer.B.data.normal_(0, 0.3, generator=generator)
    return made


def by_autograd(made: Policy, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]) -> list[Tensor]:
    """Each response alone and unpadded, by torch's own gradients, sketched afterwards."""
    found = []
    for prompt, group in zip(prompts, responses, strict=True):
        sums = SKETCH.empty(len(group), torch.device("cpu"))
        for place, response in enumerate(group):
            with made.learning() as model:
                ids = torch.tensor([[*prompt, *response]] * made.members)
                table = model(input_ids=ids).logits.log_softmax(-1)
                targets = torch.tensor(response).expand(made.members, -1)
                made.model.zero_grad()
                table[:, len(prompt) - 1 : -1].gather(2, targets[..., None]).sum().backward()
            for name, layer in sketched_layers(made).items():
                if made.layers:
                    parts = {f"{kind}.{i}": getattr(layer, kind).grad[i] for i in range(made.members) for kind in "AB"}
                else:
                    parts = {"weight": layer.weight.grad if not hasattr(layer, "nf") else layer.weight.grad.T}
                for part, gradient in parts.items():
                    one = torch.ones(1, 1, 1)
                    SKETCH.add(sums[place : place + 1], f"{name}.{part}", one, gradient.reshape(1, 1, -1))
        made.model.zero_grad()
        found.append(SKETCH.of(sums))
    return found


def close(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    scale = torch.cat(list(expected)).norm()
    return all(bool((one - other).norm() / scale < 1e-5) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("scorer", [SHARED, PLAIN], ids=["shared", "plain"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gpt2": True},
        {"members": 1},
        {"members": 3},
        {"members": 2, "checkpointing": True},
        {"checkpointing": True},
    ],
    ids=str,
)
def test_features_are_those_of_an_autograd_loop(scorer: Scorer, options: dict) -> None:
    made = policy(**options)
    found = gradient_sketches(made, scorer, PROMPTS, RESPONSES, SKETCH)
    assert [tuple(one.shape) for one in found] == [(3, 256), (3, 256), (2, 256), (3, 256)]
    assert close(found, by_autograd(made, PROMPTS, RESPONSES))
    # The test can tell: responses of other prompts have other gradients.
    assert not close(found[:1], found[3:])


@pytest.mark.parametrize("longest", [0, 12, ALL])
@pytest.mark.parametrize("tokens", [1, 30, 90])
def test_padding_batches_and_order_do_not_matter(tokens: int, longest: int) -> None:
    made = policy(members=2)
    ticks: list[int] = []
    whole = gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
    found = gradient_sketches(made, Scorer(tokens, longest), PROMPTS[::-1], RESPONSES[::-1], SKETCH, ticks.append)
    assert close(found[::-1], whole)
    assert sum(ticks) == 11 and len(ticks) >= (4 if tokens == 1 else 1)


def test_the_policy_is_left_as_found() -> None:
    made = policy(members=2, dropout=0.5, checkpointing=True)
    clean = gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
    made.model.train()
    kept = torch.ones_like(next(iter(made.trainable().values())))
    next(iter(made.trainable().values())).grad = kept
    hooks = [len(module._forward_hooks) for module in made.model.modules()]
    modes = [module.training for module in made.model.modules()]
    needed = [parameter.requires_grad for parameter in made.model.parameters()]
    weights = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    random = torch.get_rng_state()
    with torch.no_grad():
        again = gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(one, other) for one, other in zip(again, clean, strict=True))  # without dropout
    assert [module.training for module in made.model.modules()] == modes
    assert [parameter.requires_grad for parameter in made.model.parameters()] == needed
    assert all(torch.equal(weights[name], tensor) for name, tensor in made.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    grads = [parameter.grad for parameter in made.trainable().values()]
    assert grads[0] is kept and (kept == 1).all() and all(one is None for one in grads[1:])
    assert not any(layer.active for layer in made.layers.values())
    assert [len(module._forward_hooks) for module in made.model.modules()] == hooks


def test_an_error_leaves_the_policy_as_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = policy(members=1)
    gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
    hooks = [len(module._forward_hooks) for module in made.model.modules()]
    monkeypatch.setattr(CountSketch, "add", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
    assert made.trainable() and not any(layer.active for layer in made.layers.values())
    assert [len(module._forward_hooks) for module in made.model.modules()] == hooks


def test_fresh_adapters_move_by_b_alone() -> None:
    made = policy(members=1)
    for layer in made.layers.values():
        layer.B.data.zero_()
    found = gradient_sketches(made, SHARED, PROMPTS, RESPONSES, SKETCH)
    assert torch.cat(found).abs().sum() > 0 and close(found, by_autograd(made, PROMPTS, RESPONSES))


def test_nothing_to_do() -> None:
    assert gradient_sketches(policy(), SHARED, [], [], SKETCH) == []
    [one] = gradient_sketches(policy(), SHARED, PROMPTS[:1], [[]], SKETCH)
    assert one.shape == (0, 256)


BETA = 0.3


@pytest.mark.parametrize(
    ("make", "scale"),
    [
        (lambda normalize: DPO(BETA, 0.0, normalize), lambda h: -BETA * torch.sigmoid(-BETA * h)),
        (lambda normalize: IPO(BETA, normalize), lambda h: 2 * (h - 1 / (2 * BETA))),
        (lambda normalize: SLiC(BETA, 0.0, normalize), lambda h: -BETA),
    ],
    ids=["dpo", "ipo", "slic"],
)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.7], ids=["behavior", "another reference"])
def test_a_losss_gradient_at_a_pair_is_a_multiple_of_the_difference(
    make: Callable, scale: Callable, normalize: bool, shift: float
) -> None:
    """So that a pair's direction is known before its label, which turns it round."""
    made = policy(members=1)
    prompt, pair = PROMPTS[0], RESPONSES[0][::2]
    [first, second] = gradient_sketches(made, SHARED, [prompt], [pair], SKETCH)[0]
    if normalize:
        first, second = first / len(pair[0]), second / len(pair[1])
    for chosen in (0, 1):
        with made.learning() as model:
            logps = SHARED.logps(model, [prompt], [pair])[0]
        reference = logps.detach() - torch.tensor([shift, 0.0])
        tokens = torch.tensor([len(one) for one in pair])
        order = [chosen, 1 - chosen]
        c, r = ([one[place : place + 1] for one in (logps, reference, tokens)] for place in order)
        made.model.zero_grad()
        make(normalize)(PairLogps(c[0], r[0], c[1], r[1], c[2], r[2])).sum().backward()
        sums = SKETCH.empty(1, torch.device("cpu"))
        for name, layer in made.layers.items():
            for kind in "AB":
                part = getattr(layer, kind).grad[0].reshape(1, 1, -1)
                SKETCH.add(sums, f"{name}.{kind}.0", torch.ones(1, 1, 1), part)
        h = torch.tensor(shift if chosen == 0 else -shift) / (len(pair[0]) if normalize else 1)
        expected = scale(h) * (first - second) * (1 - 2 * chosen)
        found = SKETCH.of(sums)[0]
        assert (found - expected).norm() / expected.norm() < 1e-5
