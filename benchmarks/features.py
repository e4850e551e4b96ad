"""What gradient features of responses cost, beside a learning step over the same tokens.

    python -m benchmarks.features pairs=500 json=FILE

ratio_step             time of the features of 2 x `pairs` responses to that of a learning step on these pairs
bytes_a_response       by how much the peak grows for a response more, measured with four times as many
sketch_bytes           what is kept of a response

Features in 512 numbers, as allocation=balanced has them, through the scorer of the training step. The step is one
update on all pairs, in passes of `model.tokens`. Own keys, with their values: conf/bench.yaml; the others: src.train
--help.
"""

import statistics
from typing import Any

from benchmarks.arguments import Bench, command
from benchmarks.figures import ratio
from benchmarks.machine import thread_count
from benchmarks.material import Material, Pair, material
from benchmarks.ours import learn, new_policy
from benchmarks.outcome import finish
from benchmarks.sides import Turns, alternate
from src.allocation.features import gradient_sketches
from src.allocation.sketch import CountSketch
from src.inference.scorer import scorer_for
from src.runtime.device import choose_device
from src.runtime.report import Report

SIZE = 512
MORE = 4


def features(turns: Turns, given: Material) -> None:
    """The features of a turn's pairs, both responses of each."""
    _features(turns, given, given.pairs)


def features_of_more(turns: Turns, given: Material) -> None:
    """Those of each turn's pairs, four times over: for the memory they take."""
    _features(turns, given, [MORE * pairs for pairs in given.pairs])


def _features(turns: Turns, given: Material, batches: list[list[Pair]]) -> None:
    policy = new_policy(given, given.config.ensemble)
    scorer = scorer_for(policy.model, given.config.model.tokens, Report().warn)
    sketch = CountSketch(SIZE, given.config.seed)
    turns.ready()
    for pairs in batches:
        turns.wait()
        gradient_sketches(policy, scorer, [pair.prompt for pair in pairs], [pair[1:] for pair in pairs], sketch)
        turns.done()


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    device, threads = choose_device(bench.config.device), thread_count(bench.keys.threads)
    sides = {"step": learn, "features": features, "features of more": features_of_more}
    with report.live(), material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        found = alternate(
            {name: (work, given) for name, work in sides.items()},
            device, threads, bench.keys.warmup, bench.keys.repeats, report,
        )  # fmt: skip
    once, more = found["features"], found["features of more"]
    grown = statistics.median(turn["peak_bytes"] for turn in more.turns) - statistics.median(
        turn["peak_bytes"] for turn in once.turns
    )
    figures = {
        "seconds": statistics.median(once.seconds()),
        **ratio(once.seconds(), found["step"].seconds()).named("ratio_step"),
        "bytes_a_response": grown / (2 * (MORE - 1) * bench.keys.pairs),
        "sketch_bytes": 4 * SIZE,
    }
    return finish("features", bench, figures, [(given.config.model.dtype, side) for side in found.values()], report)


if __name__ == "__main__":
    command(__doc__ or "", (), measure)
