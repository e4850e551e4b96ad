"""Settings of the optimizer; importable without torch."""

from dataclasses import dataclass

from src.runtime.errors import require


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW and its learning rate schedule.

    Args:
        betas, eps, weight_decay: as in torch.optim.AdamW.
        max_grad_norm: each member's gradient is clipped to this norm; None: not clipped.
        schedule: "linear" decays the learning rate to 0 over the T steps, "constant" keeps it.
    """

    betas: list[float]
    eps: float
    weight_decay: float
    max_grad_norm: float | None
    schedule: str

    def __post_init__(self) -> None:
        norm = self.max_grad_norm
        require(
            (
                len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
                f"betas={self.betas}: expected two numbers, 0 <= beta < 1",
            ),
            (self.eps > 0, f"eps={self.eps}: expected a number above 0"),
            (self.weight_decay >= 0, f"weight_decay={self.weight_decay}: expected 0 or more"),
            (norm is None or norm > 0, f"max_grad_norm={norm}: expected a number above 0, or null"),
            (self.schedule in ("linear", "constant"), f"schedule={self.schedule}: expected linear or constant"),
        )
