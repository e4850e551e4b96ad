import pytest
import torch

from src.runtime.device import choose_device, device_problems


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert choose_device("auto") == torch.device(expected)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "device=gpu: expected auto, cpu, cuda or cuda:N"),
        ("meta", "device=meta: expected auto, cpu, cuda or cuda:N"),
        ("cuda:2", "device=cuda:2: torch sees 2 GPUs here; use device=auto"),
    ],
)
def test_a_device_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError) as error:
        choose_device(name)
    assert str(error.value) == message
    assert device_problems(name) == [message]


def test_a_device_that_can_be_used_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert [device_problems(name) for name in ("auto", "cpu", "cuda", "cuda:1")] == [[]] * 4
