"""The time of a learning step outside torch's operations: Python code, ours and the libraries'.

    python -m benchmarks.overhead model=smollm2_135m model.path=DIR data.path=DIR json=FILE

overhead_share, overhead_share_low       upper and lower bound, as a share of a step's time
overhead_ms_tiny, overhead_ms_tiny_low   the same bounds in ms a step, of the tiny model on embedded data

A step runs under torch's profiler, and again without it. Upper bound: the time under the profiler that no operation
covers, which includes the profiler's own work. Lower bound: the time without the profiler minus the time of the
operations under it. On a GPU: the share of a step in which the GPU computed nothing. Keys of benchmarks, with their
values: conf/bench.yaml; the others: src.train --help.
"""

import statistics
import time
from collections.abc import Iterable
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.arguments import Bench, command, read_bench
from benchmarks.machine import synchronize
from benchmarks.material import Material, material
from benchmarks.ours import compared, new_learner
from benchmarks.outcome import finish
from benchmarks.sides import Side, Turns, alternate_as_asked
from src.runtime.report import Report


def ours(turns: Turns, given: Material) -> None:
    """A turn is a step on a batch; before each turn, the same step is measured under the profiler."""
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
    """(start, end) of torch's own operations, or of the GPU's work, in seconds.

    Autograd functions written in Python, whose names do not end in a digit, do not count; the operations they call do.
    """
    intervals = []
    for event in events:
        native = event.name.startswith("aten::") or (event.name.startswith("autograd::") and event.name[-1].isdigit())
        if event.device_type == DeviceType.CUDA if device == "cuda" else native:
            intervals.append((event.time_range.start / 1e6, event.time_range.end / 1e6))
    return intervals


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The total length of the union of intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    # The tiny model on embedded data, with the other settings of the command.
    same = ("pairs", "repeats", "warmup", "threads")
    tiny = read_bench([f"{key}={_text(getattr(bench.keys, key))}" for key in same]
                      + [f"device={bench.config.device}", f'cache="{bench.config.cache}"'], ())  # fmt: skip
    with report.live():
        asked, small = _measured(bench, report), _measured(tiny, report)
    median = statistics.median
    figures = {
        "overhead_share": median(1 - turn["inside"] / turn["whole"] for turn in asked.turns),
        "overhead_share_low": median(1 - turn["inside"] / turn["seconds"] for turn in asked.turns),
        "overhead_ms_tiny": 1e3 * median(turn["whole"] - turn["inside"] for turn in small.turns),
        "overhead_ms_tiny_low": 1e3 * median(turn["seconds"] - turn["inside"] for turn in small.turns),
    }
    sides = [(bench.config.model.name, asked), (tiny.config.model.name, small)]
    return finish("overhead", bench, figures, sides, report)


def _text(value: object) -> str:
    return "null" if value is None else str(value)


def _measured(bench: Bench, report: Report) -> Side:
    with material(bench, report) as given:
        return alternate_as_asked({"ours": (ours, given.at(bench.precisions()[0]))}, bench, report)["ours"]


if __name__ == "__main__":
    command(__doc__ or "", (), measure)
