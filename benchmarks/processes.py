"""A whole round by several processes, a core each, against one process on one core: the same prompts, the same draws.

    python -m benchmarks.processes model=smollm2_135m model.path=DIR data.path=DIR pairs=16 json=FILE

ratio_processes    seconds of one process to those of `processes=2` of them: how many times the throughput is
pairs_per_second   of one process; .._several of all together

A round samples two responses to each prompt, annotates (which costs nothing here), scores the reference and takes a
step. Give each process a core of its own, and `pairs` enough for all. Own keys, with their values: conf/bench.yaml; the
others: src.train --help.
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
    """One process's part of every round; they join in the first turn, which `warmup` leaves out.

    Args:
        task: what to work on, the number of this process, how many there are, and the port where they meet.
    """
    given, rank, count, port = task
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in where.items()})
    take = rounds(given)
    turns.ready()
    with ExitStack() as stack:
        for turn in range(len(given.batches)):
            turns.wait()
            if turn == 0:
                stack.enter_context(process_group.joined())
            turns.done(**take(turn))


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    keys, device = bench.keys, choose_device(bench.config.device)
    parts = [("1 process", 0, 1)]
    parts += [(f"process {rank} of {keys.processes}", rank, keys.processes) for rank in range(keys.processes)]
    turns = keys.warmup + keys.repeats
    with report.live(), material(bench, report) as given, ExitStack() as stack:
        port, task = _free_port(), given.at(bench.precisions()[0])
        one, *several = (
            stack.enter_context(side(name, shared, (task, rank, count, port), device, threads=1))
            for name, rank, count in parts
        )
        pool = stack.enter_context(ThreadPoolExecutor(len(several)))
        with report.stage(f"1 process against {len(several)}", turns) as tick:
            for number in range(turns):
                found = [(one, one.turn()), *zip(several, pool.map(Side.turn, several), strict=True)]
                if number >= keys.warmup:
                    for who, turn in found:
                        who.turns.append(turn)
                tick(note=f"{found[0][1]['seconds']:.3f} s")
    warn_if_busy([one, *several], report)
    if any(turn["tokens"] != other["tokens"] for turn, other in zip(one.turns, several[0].turns, strict=True)):
        report.warn(
            "a draw fell on the other side of a rounding error: the responses, and so the work, differ a little"
        )
    slowest = [max(seconds) for seconds in zip(*(part.seconds() for part in several), strict=True)]
    figures = ratio(one.seconds(), slowest).named("ratio_processes") | {
        "processes": keys.processes,
        "pairs_per_second": keys.pairs / statistics.median(one.seconds()),
        "pairs_per_second_several": keys.pairs / statistics.median(slowest),
    }
    return finish("processes", bench, figures, [(bench.precisions()[0], part) for part in (one, *several)], report)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    command(__doc__ or "", ("start", "processes"), measure)
