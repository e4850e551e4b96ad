"""How the time and memory of our learning step grow with the work.

    python -m benchmarks.growth model=smollm2_135m model.path=DIR data.path=DIR json=FILE

One quantity is varied at a time: pairs, prompt tokens, response tokens, vocabulary, members. Tokens are random; all
prompts have one length, and all responses. Each point has a process of its own.

exponents   quantity -> b of the fit cost = a size^b, for seconds and for the memory that the step took beyond what was
            in use before: 1 is proportional growth, 0 none; null where the step took no memory

Keys of benchmarks, with their values: conf/bench.yaml; the others: src.train --help.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks import ours
from benchmarks.arguments import Bench, command
from benchmarks.figures import exponent
from benchmarks.material import Material, Pair, material
from benchmarks.outcome import finish
from benchmarks.sides import Side, alternate_as_asked
from src.models.pretrained import load_tokenizer
from src.runtime.report import Report
from src.runtime.seeding import torch_stream


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    sides: list[tuple[str, Side]] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    with report.live(), material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        for quantity, size, changed in points(bench, given):
            name = f"{quantity} {size}"
            side = alternate_as_asked({name: (ours.learn, changed)}, bench, report)[name]
            sides.append((quantity, side))
            step_bytes = max(side.peak() - side.facts["resident_bytes"], 0)
            seconds = statistics.median(side.seconds())
            rows.setdefault(quantity, []).append({"size": size, "seconds": seconds, "step_bytes": step_bytes})
    exponents = {
        quantity: {
            cost: exponent([point["size"] for point in line], [point[cost] for point in line])
            for cost in ("seconds", "step_bytes")
        }
        for quantity, line in rows.items()
    }
    return finish("growth", bench, {"exponents": exponents, "points": rows}, sides, report)


def points(bench: Bench, given: Material) -> Iterator[tuple[str, int, Material]]:
    """(quantity, size, material) of each point: one quantity at sizes that double, the others at their middle size."""
    keys = bench.keys
    vocabulary = len(load_tokenizer(given.base))
    middle = {
        "pairs": keys.pairs,
        "prompt_tokens": keys.prompt_tokens,
        "response_tokens": keys.response_tokens,
        "vocabulary": vocabulary,
        "ensemble": bench.config.ensemble,
    }
    for quantity, value in middle.items():
        if quantity == "ensemble" and bench.config.model.lora is None:
            continue
        # From below the middle size to twice it; the number of members starts at it.
        lowest = value if quantity == "ensemble" else max(1, value >> (keys.sizes - 2))
        for size in (lowest << doubled for doubled in range(keys.sizes)):
            yield quantity, size, _at(given, middle | {quantity: size})


def _at(given: Material, sizes: dict[str, int]) -> Material:
    """Material with random pairs of these sizes, the same in every turn."""
    generator = torch_stream(given.config.seed, "growth")

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(sizes["vocabulary"], (count,), generator=generator).tolist())

    pairs = [
        Pair(ids(sizes["prompt_tokens"]), ids(sizes["response_tokens"]), ids(sizes["response_tokens"]))
        for _ in range(sizes["pairs"])
    ]
    config = replace(given.config, ensemble=sizes["ensemble"])
    return replace(given, config=config, pairs=[pairs], batches=[], vocabulary=sizes["vocabulary"])


if __name__ == "__main__":
    command(__doc__ or "", ("prompt_tokens", "response_tokens", "sizes"), measure)
