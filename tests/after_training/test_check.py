"""Two numbers agree to a tolerance."""

from src.after_training.check import close


def test_figures_that_are_close() -> None:
    assert close(None, None, 1) and not close(None, 0.0, 1) and not close(0.0, None, 1)
    assert close(0.5, 0.5 + 1e-10, 1e-9) and not close(0.5, 0.5 + 1e-8, 1e-9)
    assert close(1e6, 1e6 + 1e-4, 1e-9) and not close(float("nan"), 0.5, 1e-3)
