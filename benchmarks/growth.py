"""How our learning step's time and memory grow with the work.

    python -m benchmarks.growth model=smollm2_135m model.path=DIR data.path=DIR json=FILE

One quantity is changed at a time: pairs, prompt tokens, response tokens, vocabulary, members. Tokens are random, all
prompts of one length and all responses of one length; every point has a process of its own. For each quantity, b of
cost = a size^b as it fits best: 1 is proportional growth, 0 none.

exponents   quantity -> of seconds, and of the memory that the step took beyond what was there before it; null where
            there was none

Own keys, with their values: conf/bench.yaml; the others: src.train --help.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks import ours
from benchmarks.arguments import Bench, command
from benchmarks.figures import exponent
from benchmarks.machine import thread_count
from benchmarks.material import Material, Pair, material
from benchmarks.outcome import finish
from benchmarks.sides import Side, alternate
from src.models.pretrained import load_tokenizer
from src.runtime.device import choose_device
from src.runtime.report import Report
from src.runtime.seeding import torch_stream


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    device, threads = choose_device(bench.config.device), thread_count(bench.keys.threads)
    found: list[tuple[str, Side]] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    with report.live(), material(bench, report) as given:
        given = given.at(bench.precisions()[0])
        for quantity, size, changed in points(bench, given):
            name = f"{quantity} {size}"
            side = alternate(
                {name: (ours.learn, changed)}, device, threads, bench.keys.warmup, bench.keys.repeats, report
            )[name]
            found.append((quantity, side))
            taken = max(side.peak() - side.facts["resident_bytes"], 0)
            seconds = statistics.median(side.seconds())
            rows.setdefault(quantity, []).append({"size": size, "seconds": seconds, "step_bytes": taken})
    exponents = {
        quantity: {
            cost: exponent([row["size"] for row in of_one], [row[cost] for row in of_one])
            for cost in ("seconds", "step_bytes")
        }
        for quantity, of_one in rows.items()
    }
    return finish("growth", bench, {"exponents": exponents, "points": rows}, found, report)


def points(bench: Bench, given: Material) -> Iterator[tuple[str, int, Material]]:
    """(quantity, size, what our side is given), each quantity at sizes that double, the others in the middle."""
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
        # From below the middle to one above it; members only grow.
        lowest = value if quantity == "ensemble" else max(1, value >> (keys.sizes - 2))
        for size in (lowest << doubled for doubled in range(keys.sizes)):
            yield quantity, size, _at(given, middle | {quantity: size})


def _at(given: Material, sizes: dict[str, int]) -> Material:
    """Random pairs of given sizes, the same ones every turn."""
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
