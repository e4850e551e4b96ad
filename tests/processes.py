"""Work in several processes that have joined, as a launcher would start them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

from src.runtime import process_group
from src.runtime.signals import listening

PATIENCE = 280  # seconds; the work takes a few
# Forked: torch and transformers are loaded already, which is most of what starting a process takes.
fork = multiprocessing.get_context("fork")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def in_processes(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a work gives or raises in each of so many processes; the exit status of one that was killed."""
    port = free_port()

    def serve(rank: int, answers: Any) -> None:
        facts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in facts.items()})
        try:
            with listening(), process_group.joined():
                answers.send(work(*arguments))
        except (Exception, SystemExit) as error:
            answers.send(error)

    pipes = [fork.Pipe(duplex=False) for _ in range(count)]
    workers = [fork.Process(target=serve, args=(rank, pipe[1])) for rank, pipe in enumerate(pipes)]
    try:
        for worker in workers:
            worker.start()
        for _, ours in pipes:
            ours.close()
        found = []
        for worker, (theirs, _) in zip(workers, pipes, strict=True):
            assert theirs.poll(PATIENCE), f"nothing from {worker}"
            try:
                found.append(theirs.recv())
            except EOFError:
                worker.join(PATIENCE)
                found.append(worker.exitcode)
        return found
    finally:
        for worker in workers:
            worker.kill()
