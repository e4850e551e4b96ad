"""Several processes that train one run (torch.distributed): which one this is, and what passes between them.

A launcher starts the processes, and `src.runtime.process_group.joined` connects them. All of them execute the same
calls in the same order. Long work is divided (`local_indices`, then `merge` or `all_reduce_sum`); whatever is written
or paid for is done by the main process only (`from_main`, `by_main`). With a single process, these functions do the
whole work and exchange nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from src.runtime.errors import RunError, error_summary

if TYPE_CHECKING:
    from torch import Tensor  # torch is imported only where there are several processes

P = ParamSpec("P")
T = TypeVar("T")


class Lost(RunError):
    """Another process of the run is gone."""


class Group:
    """The processes of the run. Process-wide state, hence class attributes; `src.runtime.process_group` sets them."""

    rank = 0
    size = 1
    alone = False  # executing work that the other processes do not take part in
    store: Any = None  # torch's key-value store of all processes
    gpus: Any = None  # the process group for tensors on GPUs


def rank() -> int:
    """The number of this process; the main process is 0."""
    return Group.rank


def world_size() -> int:
    """How many processes take part in the current work: 1 inside `from_main` and `run_everywhere`."""
    return 1 if Group.alone else Group.size


def name() -> str:
    """This process in brackets, for messages: " (process 1 of 4)"; empty for a single process."""
    return f" (process {Group.rank} of {Group.size})" if Group.size > 1 else ""


def is_main() -> bool:
    """Whether this is the process that writes and prints."""
    return Group.rank == 0


def speaks_first() -> bool:
    """Whether this process is the first to report that the run ends. All processes end together; one reports it."""
    if Group.store is None:
        return True
    try:
        return bool(Group.store.add("ending", 1) == 1)
    except RuntimeError:  # the process or launcher that held the store has ended
        return True


def local_indices(sizes: Sequence[int]) -> list[int]:
    """Divides items among the processes.

    Args:
        sizes: of the items, in any unit of work (tokens, say).

    Returns:
        Indices of this process's items, increasing. Every item belongs to one process; the numbers of items differ by
        at most one, and the sums of sizes hardly. All indices in a single process.
    """
    size = world_size()
    if size == 1:
        return list(range(len(sizes)))
    longest_first = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    # Dealt in turns of alternating direction: the process that gets the longest of one turn gets the shortest of the
    # next.
    turns = range(0, len(sizes), size)
    dealt = [start + (Group.rank if start // size % 2 == 0 else size - 1 - Group.rank) for start in turns]
    return sorted(longest_first[index] for index in dealt if index < len(sizes))


def all_gather(value: T) -> list[T]:
    """The values of all processes, by rank. Waits for all processes.

    Raises:
        Lost: if another process is gone, as in every function here that exchanges something.
    """
    if world_size() == 1:
        return [value]
    from torch import distributed

    values: list[Any] = [None] * Group.size
    with _exchanging():
        distributed.all_gather_object(values, value)
    return values


def merge(indices: Sequence[int], values: Sequence[T]) -> list[T]:
    """The values of all items, in order, from the parts of all processes.

    Args:
        indices: of this process's items, as `local_indices` gives them.
        values: of this process's items.
    """
    if world_size() == 1:
        return list(values)
    parts = all_gather(list(zip(indices, values, strict=True)))
    by_index = dict(pair for part in parts for pair in part)
    return [by_index[index] for index in range(len(by_index))]


def all_reduce_sum(tensor: "Tensor") -> "Tensor":
    """Replaces a tensor, in place, by its sum over all processes, and returns it."""
    if world_size() > 1:
        from torch import distributed

        with _exchanging():
            distributed.all_reduce(tensor, group=Group.gpus if tensor.is_cuda else None)
    return tensor


def all_reduce_max(number: int) -> int:
    """The largest of the processes' numbers."""
    if world_size() == 1:
        return number
    import torch
    from torch import distributed

    largest = torch.tensor([number])
    with _exchanging():
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    return int(largest.item())


def run_everywhere(work: Callable[[], T]) -> list[T]:
    """Executes `work` in every process by itself: inside, `world_size` is 1 and nothing is exchanged.

    Args:
        work: may differ between processes; its result is pickled.

    Returns:
        The results of all processes, by rank.

    Raises:
        Exception: in all processes, what `work` raised in the first one where it failed.
    """
    if world_size() == 1:
        return [work()]
    outcomes = all_gather(_outcome(work))
    for _, error in outcomes:
        if error is not None:
            raise error
    return [result for result, _ in outcomes]


def from_main(work: Callable[[], T]) -> T:
    """Executes `work` in the main process only, while the others wait.

    Args:
        work: its result is pickled.

    Returns:
        Its result, in all processes.

    Raises:
        Exception: in all processes, what `work` raised.
    """
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
    """Decorates a function so that only the main process executes it, as with `from_main`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return from_main(lambda: function(*args, **kwargs))

    return wrapped


def _outcome(work: Callable[[], T]) -> tuple[T, BaseException | None]:
    """What `work` returns or raises, executed without the other processes."""
    Group.alone = True
    try:
        return work(), None
    except (Exception, SystemExit) as error:  # SystemExit: `src.runtime.signals.Stopped`
        return None, error  # type: ignore[return-value]
    finally:
        Group.alone = False


@contextmanager
def _exchanging() -> Iterator[None]:
    """Turns torch's error about a closed connection into `Lost`."""
    try:
        yield
    except RuntimeError as error:
        raise Lost(
            f"another of the {Group.size} processes has ended, or cannot be reached ({error_summary(error)}); the same "
            "command goes on from the last checkpoint"
        ) from None
