"""The cost of gradient features of responses, compared with a learning step over the same tokens.

    python -m benchmarks.features pairs=500 json=FILE

ratio_step         time of the features of 2 x `pairs` responses, relative to a learning step on these pairs
bytes_a_response   growth of the peak memory per additional response, measured with four times as many
sketch_bytes       bytes kept of each response

The features are sketches of 512 numbers, as allocation=balanced uses them, computed by the scorer of the training step.
The step is one update on all pairs, in passes of `model.tokens`. Keys of benchmarks, with their values:
conf/bench.yaml; the others: src.train --help.
"""

import statistics
from typing import Any

from benchmarks.arguments import Bench, command
from benchmarks.figures import ratio
from benchmarks.material import Material, Pair, material
from benchmarks.ours import learn, new_policy
from benchmarks.outcome import finish
from benchmarks.sides import Turns, alternate_as_asked
from src.allocation.features import gradient_sketches
from src.allocation.sketch import CountSketch
from src.inference.scorer import scorer_for
from src.runtime.report import Report

SIZE = 512
MORE = 4


def features(turns: Turns, given: Material) -> None:
    """Features of a turn's pairs, both responses of each."""
    _features(turns, given, given.pairs)


def features_of_more(turns: Turns, given: Material) -> None:
    """Features of each turn's pairs repeated `MORE` times, to see how memory grows."""
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
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    sides = {"step": learn, "features": features, "features of more": features_of_more}
    with report.live(), material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        done = alternate_as_asked({name: (work, given) for name, work in sides.items()}, bench, report)
    once = done["features"]
    once_peak, more_peak = (
        statistics.median(turn["peak_bytes"] for turn in done[name].turns) for name in ("features", "features of more")
    )
    figures = {
        "seconds": statistics.median(once.seconds()),
        **ratio(once.seconds(), done["step"].seconds()).named("ratio_step"),
        "bytes_a_response": (more_peak - once_peak) / (2 * (MORE - 1) * bench.keys.pairs),
        "sketch_bytes": 4 * SIZE,
    }
    return finish("features", bench, figures, [(given.config.model.dtype, side) for side in done.values()], report)


if __name__ == "__main__":
    command(__doc__ or "", (), measure)
