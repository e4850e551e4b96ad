"""A whole round by several processes, one core each, against one process on one core: same prompts, same draws.

    python -m benchmarks.processes model=smollm2_135m model.path=DIR data.path=DIR pairs=16 json=FILE

ratio_processes            throughput of `processes=2` processes relative to one process
pairs_per_second           of one process
pairs_per_second_several   of all processes together

A round samples two responses to each prompt, annotates them (at no cost here), scores the reference and takes a step.
Give each process a core of its own, and enough `pairs` for all of them. Keys of benchmarks, with their values:
conf/bench.yaml; the others: src.train --help.
"""

import os
import socket
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from benchmarks.arguments import Bench, command
from benchmarks.figures import ratio
from benchmarks.material import Material, material
from benchmarks.outcome import finish
from benchmarks.round import rounds
from benchmarks.sides import Side, Turns, side, warn_if_busy
from src.runtime import process_group
from src.runtime.device import choose_device
from src.runtime.report import Report


def shared(turns: Turns, task: tuple[Material, int, int, int]) -> None:
    """One process's part of every round. The processes join in the first turn, which is a warm-up turn.

    Args:
        task: material, rank of this process, number of processes, and the port where they meet.
    """
    given, rank, count, port = task
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in variables.items()})
    take = rounds(given)
    turns.ready()
    with ExitStack() as stack:
        for turn in range(len(given.batches)):
            turns.wait()
            if turn == 0:
                stack.enter_context(process_group.joined())
            turns.done(**take(turn))


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    keys, device = bench.keys, choose_device(bench.config.device)
    parts = [("1 process", 0, 1)]
    parts += [(f"process {rank} of {keys.processes}", rank, keys.processes) for rank in range(keys.processes)]
    turns = keys.warmup + keys.repeats
    with report.live(), material(bench, report) as given, ExitStack() as stack:
        port, task = _free_port(), given.at(bench.precisions()[0])
        single, *several = (
            stack.enter_context(side(name, shared, (task, rank, count, port), device, threads=1))
            for name, rank, count in parts
        )
        pool = stack.enter_context(ThreadPoolExecutor(len(several)))
        with report.stage(f"1 process against {len(several)}", turns) as tick:
            for number in range(turns):
                taken = [(single, single.turn()), *zip(several, pool.map(Side.turn, several), strict=True)]
                if number >= keys.warmup:
                    for part, turn in taken:
                        part.turns.append(turn)
                tick(note=f"{taken[0][1]['seconds']:.3f} s")
    warn_if_busy([single, *several], report)
    if any(turn["tokens"] != other["tokens"] for turn, other in zip(single.turns, several[0].turns, strict=True)):
        report.warn("rounding errors changed a draw: the responses, and so the work, differ a little")
    slowest = [max(seconds) for seconds in zip(*(part.seconds() for part in several), strict=True)]
    figures = ratio(single.seconds(), slowest).named("ratio_processes") | {
        "processes": keys.processes,
        "pairs_per_second": keys.pairs / statistics.median(single.seconds()),
        "pairs_per_second_several": keys.pairs / statistics.median(slowest),
    }
    return finish("processes", bench, figures, [(bench.precisions()[0], part) for part in (single, *several)], report)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    command(__doc__ or "", ("start", "processes"), measure)
