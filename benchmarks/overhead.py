"""What a learning step costs outside torch's operations: python, ours and that of the libraries.

    python -m benchmarks.overhead model=smollm2_135m model.path=DIR data.path=DIR json=FILE

overhead_share       of a step's time; overhead_share_low is the least it can be
overhead_ms_tiny     the same in ms a step of the tiny model on embedded data; overhead_ms_tiny_low as above

A step is run under torch's profiler. Time that no operation covers is an upper bound, for the profiler's own work is in
it; what a step without the profiler takes more than its operations did is a lower one. On a GPU: the share of a step in
which it computed nothing. Own keys, with their values: conf/bench.yaml; the others: src.train --help.
"""

import statistics
import time
from collections.abc import Iterable
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.arguments import Bench, command, read_bench
from benchmarks.machine import synchronize, thread_count
from benchmarks.material import Material, material
from benchmarks.ours import compared, new_learner
from benchmarks.outcome import finish
from benchmarks.sides import Side, Turns, alternate
from src.runtime.device import choose_device
from src.runtime.report import Report


def ours(turns: Turns, given: Material) -> None:
    """Every turn a step as it is, which is timed, and then the same one under the profiler."""
    learner = new_learner(given, given.config.ensemble)
    batches = [compared(learner, pairs) for pairs in given.pairs]
    device = learner.policy.device
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    turns.ready()
    for batch in batches:
        with profile(activities=activities) as profiled:
            synchronize(device)
            start = time.perf_counter()
            learner.step(0, batch)
            synchronize(device)
            whole = time.perf_counter() - start
        inside = covered(_operations(profiled.events() or [], device.type))
        turns.wait()
        learner.step(0, batch)
        turns.done(whole=whole, inside=inside)


def _operations(events: Iterable[Any], device: str) -> list[tuple[float, float]]:
    """When torch's own operations ran, seconds; on a GPU when it did.

    Functions of autograd that are written in python (names that end in no digit) are not among them, what they call is.
    """
    found = []
    for event in events:
        own = event.name.startswith("aten::") or (event.name.startswith("autograd::") and event.name[-1].isdigit())
        if event.device_type == DeviceType.CUDA if device == "cuda" else own:
            found.append((event.time_range.start / 1e6, event.time_range.end / 1e6))
    return found


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    # The tiny model with what was said of the run, but of the model and the data.
    same = ("pairs", "repeats", "warmup", "threads")
    tiny = read_bench([f"{key}={_text(getattr(bench.keys, key))}" for key in same]
                      + [f"device={bench.config.device}", f'cache="{bench.config.cache}"'], ())  # fmt: skip
    found: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    with report.live():
        side = _measured(bench, report)
        found.append((bench.config.model.name, side))
        figures["overhead_share"] = statistics.median(1 - turn["inside"] / turn["whole"] for turn in side.turns)
        figures["overhead_share_low"] = statistics.median(1 - turn["inside"] / turn["seconds"] for turn in side.turns)
        side = _measured(tiny, report)
        found.append((tiny.config.model.name, side))
        figures["overhead_ms_tiny"] = 1e3 * statistics.median(turn["whole"] - turn["inside"] for turn in side.turns)
        figures["overhead_ms_tiny_low"] = 1e3 * statistics.median(
            turn["seconds"] - turn["inside"] for turn in side.turns
        )
    return finish("overhead", bench, figures, found, report)


def _text(value: object) -> str:
    return "null" if value is None else str(value)


def _measured(bench: Bench, report: Report) -> Side:
    device, threads = choose_device(bench.config.device), thread_count(bench.keys.threads)
    with material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        return alternate({"ours": (ours, given)}, device, threads, bench.keys.warmup, bench.keys.repeats, report)[
            "ours"
        ]


if __name__ == "__main__":
    command(__doc__ or "", (), measure)
