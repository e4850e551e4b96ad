"""Connecting the processes that a launcher (`accelerate launch`, `torchrun`) started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from src.runtime.errors import RunError, error_summary
from src.runtime.processes import Group

if TYPE_CHECKING:
    import torch
    from torch.distributed.device_mesh import DeviceMesh

# A launcher sets these.
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# A process that ends closes its connections, which the others notice at once. This timeout is for a machine that
# disappears; it must exceed any work of one process that the others wait for: an SFT policy, the answers of an oracle.
SILENCE = timedelta(hours=24)
# GPU tensors are only exchanged right after another exchange, so no process waits long.
GPU_TIMEOUT = timedelta(minutes=10)


@contextmanager
def joined() -> Iterator[None]:
    """Connects the processes during the block, if a launcher started several.

    Raises:
        RunError: if they cannot connect.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or any(name not in os.environ for name in ENVIRONMENT):
        yield
        return
    import torch
    from torch import distributed

    cuda = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        store, rank, size = next(distributed.rendezvous("env://", timeout=GPU_TIMEOUT))
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=SILENCE)
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
            Group.gpus = distributed.new_group(backend="nccl", timeout=GPU_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise RunError(f"the {os.environ['WORLD_SIZE']} processes cannot connect: {error_summary(error)}") from None
    Group.rank, Group.size, Group.store = rank, size, store
    try:
        yield
        # Not after an error: it could wait for processes that are gone.
        distributed.destroy_process_group()
    finally:
        Group.rank, Group.size, Group.store, Group.gpus = 0, 1, None, None


def mesh(device: "torch.device") -> "DeviceMesh":
    """All processes as the one-dimensional device mesh that FSDP2 takes."""
    from torch import distributed
    from torch.distributed.device_mesh import DeviceMesh

    return DeviceMesh.from_group(Group.gpus or distributed.group.WORLD, device.type)  # type: ignore[arg-type]


def multirun_problems(multirun: bool) -> list[str]:
    """Why several processes cannot execute the command, one line each.

    Args:
        multirun: whether the command is a multirun of Hydra.
    """
    if Group.size == 1 or not multirun:
        return []
    return [
        f"-m: {Group.size} processes share one run; launch each run separately, or the multirun in a single process"
    ]


def sharing_problems(device: "torch.device") -> list[str]:
    """Why the processes on this machine cannot have one device each, one line each."""
    if Group.size == 1 or device.type != "cuda":
        return []
    import torch

    if device.index is not None:
        return [f"device={device}: {Group.size} processes would share one GPU; device=cuda gives each its own"]
    processes, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", Group.size)), torch.cuda.device_count()
    if processes <= gpus:
        return []
    return [f"{processes} processes on a machine with {gpus} GPUs; start one process per GPU, or set device=cpu"]
