import pytest

from src.learning.optimizer import OptimizerSpec

SETTINGS = {"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.0, "max_grad_norm": 1.0, "schedule": "linear"}


def test_usual_settings_are_accepted() -> None:
    OptimizerSpec(**SETTINGS)
    OptimizerSpec(**SETTINGS | {"max_grad_norm": None, "schedule": "constant", "betas": [0.0, 0.0]})


@pytest.mark.parametrize(
    "change",
    [
        {"betas": [0.9]},
        {"betas": [0.9, 1.0]},
        {"betas": [-0.1, 0.9]},
        {"eps": 0.0},
        {"weight_decay": -0.1},
        {"max_grad_norm": 0.0},
        {"schedule": "cosine"},
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, object]) -> None:
    [(name, _)] = change.items()
    with pytest.raises(ValueError, match=rf"^{name}=.*: expected"):
        OptimizerSpec(**SETTINGS | change)


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(ValueError, match=r"^eps=.*\nschedule=.*$"):
        OptimizerSpec(**SETTINGS | {"eps": -1.0, "schedule": ""})
