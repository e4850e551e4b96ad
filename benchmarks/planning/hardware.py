"""A machine in a handful of numbers, from its data sheet or measured here."""

import time
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from benchmarks.machine import product_rate, synchronize

# Bytes of the tensor that is read to measure the bandwidth: far more than any cache holds.
READ = {"cpu": 2**29, "cuda": 2**32}


@dataclass(frozen=True)
class Hardware:
    """One GPU or one processor, and its link to the others.

    Attributes:
        product_rate, float32_rate: operations a second of large matrix products in bfloat16 and in float32.
        memory_bandwidth, link_bandwidth, disk_bandwidth: bytes a second; the link's in one direction.
        memory_gib: GiB of memory.
        layer_seconds: least time of a layer in a forward pass, however little work there is.
        share_learn, share_score: share of the product rate that a learning step and a forward pass reach.
        share_read: share of the memory bandwidth that reading weights and caches reaches.
        overlaps: whether memory is read while products run, as on a GPU. On the CPU measured, the two times add up.
    """

    product_rate: float
    float32_rate: float
    memory_bandwidth: float
    memory_gib: float
    link_bandwidth: float
    disk_bandwidth: float
    layer_seconds: float
    share_learn: float
    share_score: float
    share_read: float
    overlaps: bool = True


# Not measured: no GPU was at hand.
_ASSUMED: dict[str, Any] = {
    "disk_bandwidth": 1e9,
    "layer_seconds": 5e-4,
    "share_learn": 0.4,
    "share_score": 0.5,
    "share_read": 0.7,
}
# Rates, bandwidths and memory are those of NVIDIA's data sheets: SXM, dense, NVLink in one direction.
PRESETS = {
    "h100": Hardware(989e12, 67e12, 3.35e12, 80e9 / 2**30, 450e9, **_ASSUMED),
    "a100": Hardware(312e12, 19.5e12, 2.04e12, 80e9 / 2**30, 300e9, **_ASSUMED),
}


def hardware_of(name: str, device: torch.device, given: dict[str, float]) -> Hardware:
    """A machine by name.

    Args:
        name: a name of `PRESETS`; "here": product rates and memory bandwidth that are not given are measured.
        device: the device measured.
        given: numbers that replace the machine's own, by attribute.
    """
    if name != "here":
        return Hardware(**{**vars(PRESETS[name]), **given})
    known = {
        **_ASSUMED,
        "link_bandwidth": 1e10,
        "layer_seconds": _ASSUMED["layer_seconds"] if device.type == "cuda" else 0.0,
        "memory_gib": _memory(device) / 2**30,
        **given,
    }
    for key, dtype in (("float32_rate", torch.float32), ("product_rate", torch.bfloat16)):
        known[key] = known[key] if key in known else product_rate(device, dtype)
    if "memory_bandwidth" not in known:
        known["memory_bandwidth"] = read_rate(device)
    return Hardware(**known, overlaps=device.type == "cuda")


def read_rate(device: torch.device, times: int = 3) -> float:
    """Bytes a second at which a large tensor is read, the best of `times` readings."""
    tensor = torch.ones(READ[device.type] // 4, device=device)
    seconds = []
    for _ in range(times):
        synchronize(device)
        start = time.perf_counter()
        tensor.sum()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return tensor.nbytes / min(seconds)


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return psutil.virtual_memory().total
