import pytest
import torch
from torch import Tensor

from src.inference import lm_head
from src.inference.lm_head import Head, kl_divergence, token_logps

N, D, V = 11, 6, 23


def plain(hidden: Tensor, weight: Tensor, bias: Tensor | None, softcap: float | None, targets: Tensor) -> Tensor:
    logits = torch.nn.functional.linear(hidden, weight, bias)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    return logits.log_softmax(-1)[torch.arange(len(targets)), targets]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


@pytest.fixture(params=[V, 3 * V, 1000 * V], autouse=True)
def chunk(request, monkeypatch):
    """One row at a time, three, all; and in bfloat16 blocks that the vocabulary is no multiple of."""
    monkeypatch.setattr(lm_head, "CHUNK", request.param)
    monkeypatch.setattr(lm_head, "CHUNK_BFLOAT16", request.param)
    monkeypatch.setattr(lm_head, "BLOCK", 10)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_values_and_gradients_are_those_of_a_whole_log_softmax(frozen, bias, softcap):
    targets = torch.arange(N) * 7 % V
    grads = drawn(N, seed=5)
    seen = []
    for kind in ("ours", "plain"):
        hidden = drawn(N, D).requires_grad_()
        weight = drawn(V, D, seed=1).requires_grad_(not frozen)
        b = drawn(V, seed=2).requires_grad_(not frozen) if bias else None
        if kind == "ours":
            logps = token_logps(hidden, Head(weight, b, softcap), targets)
        else:
            logps = plain(hidden, weight, b, softcap, targets)
        (logps * grads).sum().backward()
        seen.append([logps.detach(), hidden.grad, weight.grad, None if b is None else b.grad])
    for one, other in zip(*seen, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert (seen[0][2] is None) == frozen


@pytest.mark.parametrize("bias", [True, False])
def test_logits_of_bfloat16_weights_are_float32(bias):
    hidden, weight = drawn(N, D).bfloat16(), drawn(V, D, seed=1).bfloat16()
    b = drawn(V, seed=2).bfloat16() if bias else None
    exact = torch.nn.functional.linear(hidden.float(), weight.float(), None if b is None else b.float())
    logits = Head(weight, b, None).logits(hidden)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, exact, rtol=1e-6, atol=1e-6)
    rounded = torch.nn.functional.linear(hidden, weight, b).float()
    assert (rounded - exact).abs().max() > 1e-3  # what is gained
    targets = torch.arange(N) * 7 % V
    logps = token_logps(hidden, Head(weight, b, None), targets)
    torch.testing.assert_close(logps, exact.log_softmax(-1)[torch.arange(N), targets], rtol=1e-6, atol=1e-6)


def test_log_probs_are_those_of_torchs_own_fused_head():
    fused = getattr(torch.nn.functional, "linear_cross_entropy", None)
    if fused is None:
        pytest.skip("this torch has no linear_cross_entropy")
    hidden, weight, targets = drawn(N, D), drawn(V, D, seed=1), torch.arange(N) * 7 % V
    theirs = -fused(hidden, weight, targets, reduction="none")
    torch.testing.assert_close(token_logps(hidden, Head(weight, None, None), targets), theirs, rtol=1e-5, atol=1e-5)


def test_a_bias_alone_may_be_trained():
    targets, bias = torch.arange(N), drawn(V, seed=2).requires_grad_()
    seen = []
    for of in (lambda *one: token_logps(one[0], Head(*one[1:]), targets), lambda *one: plain(*one, targets)):
        (found,) = torch.autograd.grad(of(drawn(N, D), drawn(V, D, seed=1), bias, None).sum(), bias)
        seen.append(found)
    torch.testing.assert_close(*seen, rtol=1e-4, atol=1e-5)


def test_states_may_be_logits_already():
    logits = drawn(N, V).requires_grad_()
    targets = torch.arange(N)
    logps = token_logps(logits, Head(None, None, None), targets)
    torch.testing.assert_close(logps, logits.log_softmax(-1)[targets, targets])
    logps.sum().backward()
    assert logits.grad is not None
    head = Head(None, None, None)
    assert head.detach() == head
    other = drawn(N, V, seed=4)
    expected = (logits.softmax(-1) * (logits.log_softmax(-1) - other.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(kl_divergence((logits, head), (other, head)), expected.detach())


def test_a_detached_head_says_the_same_without_a_gradient():
    weight, bias = drawn(V, D, seed=1).requires_grad_(), drawn(V, seed=2).requires_grad_()
    head = Head(weight, bias, 2.0)
    other = head.detach()
    assert other.softcap == 2.0
    for one, detached in ((weight, other.weight), (bias, other.bias)):
        assert detached is not None and torch.equal(one, detached) and not detached.requires_grad


def test_chunks_hold_as_many_rows_as_their_logits_allow(monkeypatch):
    head, logits = Head(drawn(V, D), None, None), Head(None, None, None)
    for size, rows in ((V - 1, 1), (V, 1), (3 * V - 1, 2), (3 * V, 3)):
        monkeypatch.setattr(lm_head, "CHUNK", size)
        expected = [slice(start, start + rows) for start in range(0, N, rows)]
        assert list(head.chunks(drawn(N, D))) == list(logits.chunks(drawn(N, V))) == expected
    assert list(head.chunks(drawn(0, D))) == list(logits.chunks(drawn(0, V))) == []
    assert list(head.chunks(drawn(1, D))) == list(logits.chunks(drawn(1, V))) == [slice(0, 3)]


def test_nothing_to_score():
    assert token_logps(drawn(0, D), Head(drawn(V, D), None, None), torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_large_logits_stay_finite():
    logps = token_logps(1e4 * drawn(N, D), Head(drawn(V, D, seed=1), None, None), torch.arange(N))
    assert torch.isfinite(logps).all() and (logps <= 0).all()


def test_a_slope_that_nobody_asks_for_is_not_computed(monkeypatch):
    """It costs as much as the logits themselves, and reference log-probs need none."""
    monkeypatch.setattr(lm_head, "_towards", None)
    token_logps(drawn(N, D), Head(drawn(V, D, seed=1), None, None), torch.arange(N))


def test_no_tensor_of_all_logits_is_kept():
    """What the graph keeps is a row's worth of hidden states, whatever the vocabulary."""
    kept = []
    hidden = drawn(N, D).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.numel()) or one, lambda one: one):
        token_logps(hidden, Head(drawn(V, D, seed=1), None, None), torch.arange(N))
    assert kept == [N * D]


def test_kl_is_that_of_the_distributions():
    ours, theirs = Head(drawn(V, D, seed=1), None, None), Head(drawn(V, D, seed=2), drawn(V, seed=3), 2.0)
    hidden, other = drawn(N, D), drawn(N, D, seed=4)
    p, q = ours.logits(hidden).softmax(-1), theirs.logits(other).softmax(-1)
    torch.testing.assert_close(kl_divergence((hidden, ours), (other, theirs)), (p * (p / q).log()).sum(-1))
    torch.testing.assert_close(kl_divergence((hidden, ours), (hidden, ours)), torch.zeros(N))
