"""Several processes at one run (torch.distributed): who does what, and what passes between them.

A launcher (`accelerate launch`, `torchrun`) starts them and says in the environment who each one is. All of them do the
same things in the same order; what is long is shared (`share`, `together`, `total`), what is written or paid for is
done by the main process alone (`from_main`). In one process every function here does the whole work, and nothing else.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from src.runtime.errors import RunError

if TYPE_CHECKING:
    import torch  # loaded where there are several processes only: one that is alone answers at once
    from torch import Tensor
    from torch.distributed.device_mesh import DeviceMesh

P = ParamSpec("P")
T = TypeVar("T")

ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# A process that ends closes its connections, which the others see at once. This is for a machine that is gone without a
# word, and has to be longer than whatever one process does while the others wait: an SFT policy, an oracle's answers.
SILENCE = timedelta(hours=24)
# Gradients are added when all processes have just exchanged something else.
GRADIENTS = timedelta(minutes=10)


class Lost(RunError):
    """Another process of the run is gone."""


class _Group:
    """The processes of the run. They are the process's own, so there is one of it."""

    rank = 0
    size = 1
    alone = False  # at work that the others have no part in
    store: Any = None
    gpus: Any = None  # the group that adds up tensors on GPUs


def rank() -> int:
    """The number of this process, 0 is the main one."""
    return _Group.rank


def world_size() -> int:
    """How many processes are at the work in hand."""
    return 1 if _Group.alone else _Group.size


def name() -> str:
    """Which process this is, in brackets, for a message; nothing where it is the only one."""
    return f" (process {_Group.rank} of {_Group.size})" if _Group.size > 1 else ""


def is_main() -> bool:
    """Whether this process is the one that writes and prints."""
    return _Group.rank == 0


@contextmanager
def joined() -> Iterator[None]:
    """Joins the other processes that a launcher has started, if it has.

    Raises:
        RunError: if they do not come together.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or any(name not in os.environ for name in ENVIRONMENT):
        yield
        return
    import torch
    from torch import distributed

    cuda = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        store, number, size = next(distributed.rendezvous("env://", timeout=GRADIENTS))
        distributed.init_process_group("gloo", store=store, rank=number, world_size=size, timeout=SILENCE)
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
            _Group.gpus = distributed.new_group(backend="nccl", timeout=GRADIENTS)
    except (RuntimeError, ValueError) as error:
        raise RunError(f"the {os.environ['WORLD_SIZE']} processes do not come together: {_first_line(error)}") from None
    _Group.rank, _Group.size, _Group.store = number, size, store
    try:
        yield
        distributed.destroy_process_group()  # after an error it might wait for those that are gone
    finally:
        _Group.rank, _Group.size, _Group.store, _Group.gpus = 0, 1, None, None


def mesh(device: "torch.device") -> "DeviceMesh":
    """All processes in a row, as FSDP2 wants them named."""
    from torch import distributed
    from torch.distributed.device_mesh import DeviceMesh

    return DeviceMesh.from_group(_Group.gpus or distributed.group.WORLD, device.type)  # type: ignore[arg-type]


def problems(multirun: bool) -> list[str]:
    """What several processes cannot do, a line each."""
    if _Group.size == 1 or not multirun:
        return []
    return [f"-m: {_Group.size} processes share one run; start each run by itself, or a multirun without them"]


def device_problems(device: "torch.device") -> list[str]:
    """Why the processes on this machine cannot have a device each, a line each."""
    if _Group.size == 1 or device.type != "cuda":
        return []
    import torch

    if device.index is not None:
        return [f"device={device}: {_Group.size} processes would share one GPU; device=cuda gives each its own"]
    local, there = int(os.environ.get("LOCAL_WORLD_SIZE", _Group.size)), torch.cuda.device_count()
    if local <= there:
        return []
    return [f"{local} processes on a machine with {there} GPUs; start one a GPU, or take device=cpu"]


def share(sizes: Sequence[int]) -> list[int]:
    """This process's part of some items, by place, in order; all of them in one process.

    Every item is in one part. Parts differ by one item at most, and hardly in the sum of the sizes.
    """
    size = world_size()
    if size == 1:
        return list(range(len(sizes)))
    longest_first = sorted(range(len(sizes)), key=lambda place: sizes[place], reverse=True)
    # Dealt to and fro: whoever gets the longest of one turn gets the shortest of the next.
    turns = range(0, len(sizes), size)
    mine = [start + (_Group.rank if start // size % 2 == 0 else size - 1 - _Group.rank) for start in turns]
    return sorted(longest_first[place] for place in mine if place < len(sizes))


def gather(value: T) -> list[T]:
    """What each process has, in the order of their numbers; all of them wait for the last."""
    if world_size() == 1:
        return [value]
    from torch import distributed

    found: list[Any] = [None] * _Group.size
    with _exchanging():
        distributed.all_gather_object(found, value)
    return found


def together(own: Sequence[int], values: Sequence[T]) -> list[T]:
    """The values of all processes, each at its place; `own` are the places of these, as from `share`."""
    if world_size() == 1:
        return list(values)
    found = dict(pair for part in gather(list(zip(own, values, strict=True))) for pair in part)
    return [found[place] for place in range(len(found))]


def total(tensor: "Tensor") -> "Tensor":
    """The sum over all processes, in the place of the tensor."""
    if world_size() > 1:
        from torch import distributed

        with _exchanging():
            distributed.all_reduce(tensor, group=_Group.gpus if tensor.is_cuda else None)
    return tensor


def largest(number: int) -> int:
    """The largest of the processes' numbers."""
    if world_size() == 1:
        return number
    import torch
    from torch import distributed

    one = torch.tensor([number])
    with _exchanging():
        distributed.all_reduce(one, op=distributed.ReduceOp.MAX)
    return int(one.item())


def add_gradients(parameters: Iterable["Tensor"]) -> None:
    """Gives every parameter the sum of its gradients in all processes; none where no process has one.

    They are added as one tensor, so there is one exchange, and the sums are the same to the bit everywhere.
    """
    if world_size() == 1:
        return
    import torch

    every = list(parameters)
    having = total(torch.tensor([one.grad is not None for one in every], dtype=torch.int32)).tolist()
    learned = [one for one, count in zip(every, having, strict=True) if count]
    if not learned:
        return
    grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in learned]
    sums = total(torch.cat([grad.flatten() for grad in grads]))
    for one, part in zip(learned, sums.split([one.numel() for one in learned]), strict=True):
        one.grad = part.reshape(one.shape).to(one.dtype)


def everyone(work: Callable[[], T]) -> list[T]:
    """What a work gives in each process, in the order of their numbers. What it raises in one is raised in all."""
    if world_size() == 1:
        return [work()]
    outcomes = gather(_outcome(work))
    for _, error in outcomes:
        if error is not None:
            raise error
    return [result for result, _ in outcomes]


def from_main(work: Callable[[], T]) -> T:
    """What a work gives in the main process, which alone does it; the others wait. What it raises is raised in all."""
    if world_size() == 1:
        return work()
    from torch import distributed

    outcome = [_outcome(work) if is_main() else None]
    with _exchanging():
        distributed.broadcast_object_list(outcome)
    assert outcome[0] is not None
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def by_main(function: Callable[P, T]) -> Callable[P, T]:
    """A function that the main process alone runs, as `from_main` does."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return from_main(lambda: function(*args, **kwargs))

    return wrapped


def _outcome(work: Callable[[], T]) -> tuple[T, BaseException | None]:
    """What a work gives or raises, done alone."""
    _Group.alone = True
    try:
        return work(), None
    except (Exception, SystemExit) as error:  # SystemExit: what a signal raises
        return None, error  # type: ignore[return-value]
    finally:
        _Group.alone = False


@contextmanager
def _exchanging() -> Iterator[None]:
    """Says it plainly when the others are gone."""
    try:
        yield
    except RuntimeError as error:
        raise Lost(
            f"another of the {_Group.size} processes has ended, or cannot be reached ({_first_line(error)}); the same "
            "command goes on from the last checkpoint"
        ) from None


def speaks_first() -> bool:
    """Whether this process is the first to say that the run ends: what ends one ends all, and is said once."""
    if _Group.store is None:
        return True
    try:
        return bool(_Group.store.add("ending", 1) == 1)
    except RuntimeError:  # the store has ended with the process, or the launcher, that held it
        return True


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
