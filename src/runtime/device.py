"""The device a run computes on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device_problems(name: str) -> list[str]:
    """Why a device cannot be used, one line each; `name` as for `choose_device`.

    Imports torch only if `name` is not "auto" or "cpu", so that checking a usual command stays fast.
    """
    if name in ("auto", "cpu"):
        return []
    try:
        choose_device(name)
    except ValueError as error:
        return [str(error)]
    return []


def choose_device(name: str) -> "torch.device":
    """The device with the given name.

    Args:
        name: "cpu", "cuda", "cuda:N", or "auto": a GPU if there is one, else the CPU.

    Raises:
        ValueError: if torch has no such device on this machine.
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
