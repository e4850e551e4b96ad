"""The device a run computes on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device_problems(name: str) -> list[str]:
    """What keeps a device from being used, a line each. torch is imported only if the name is not auto or cpu."""
    if name in ("auto", "cpu"):
        return []
    try:
        choose_device(name)
    except ValueError as error:
        return [str(error)]
    return []


def choose_device(name: str) -> "torch.device":
    """The device of a name; "auto" takes a GPU if there is one.

    Raises:
        ValueError: if torch has no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name}: expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={name}: torch sees {torch.cuda.device_count()} GPUs here; use device=auto")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device={name}: expected auto, cpu, cuda or cuda:N")
    return device
