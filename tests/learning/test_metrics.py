import pytest
import torch

from src.learning.metrics import PER_PAIR, estimated_kl, pair_metrics
from src.losses.base import PairLogps
from src.losses.dpo import DPO

LOGPS = PairLogps(
    chosen=torch.tensor([-10.0, -20.0], requires_grad=True),
    rejected=torch.tensor([-12.0, -15.0]),
    reference_chosen=torch.tensor([-11.0, -19.0]),
    reference_rejected=torch.tensor([-11.0, -19.0]),
    chosen_tokens=torch.tensor([5, 10]),
    rejected_tokens=torch.tensor([4, 2]),
)


@pytest.mark.parametrize(
    ("length_normalize", "chosen", "rejected"),
    [(False, [0.5, -0.5], [-0.5, 2.0]), (True, [0.1, -0.05], [-0.125, 1.0])],
)
def test_metrics_of_pairs_by_hand(length_normalize: bool, chosen: list[float], rejected: list[float]) -> None:
    metrics = pair_metrics(
        DPO(beta=0.5, label_smoothing=0.0, length_normalize=length_normalize), LOGPS, torch.tensor([0.25, 0.75])
    )
    assert tuple(metrics) == PER_PAIR
    expected = {
        "loss": [0.25, 0.75],
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": [a - b for a, b in zip(chosen, rejected, strict=True)],
        "rewards/accuracies": [1.0, 0.0],
        "logps/chosen": [-10.0, -20.0],
        "logps/rejected": [-12.0, -15.0],
    }
    for name, values in metrics.items():
        assert values.tolist() == pytest.approx(expected[name]), name
        assert not values.requires_grad


def test_estimated_kl_of_known_distributions() -> None:
    """Responses are one of three symbols, drawn from the behavior policy; 200,000 of them show the KL."""
    policy, other, behavior = (torch.tensor(p) for p in ([0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [0.3, 0.3, 0.4]))
    drawn = torch.multinomial(behavior, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    kl = (policy * (policy / other).log()).sum().item()
    estimate = estimated_kl(policy.log()[drawn], other.log()[drawn], behavior.log()[drawn])
    assert estimate == pytest.approx(kl, rel=0.03)
    assert estimated_kl(behavior.log()[drawn], behavior.log()[drawn], behavior.log()[drawn]) == pytest.approx(
        0, abs=1e-9
    )
