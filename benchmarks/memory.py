"""The most memory that a learning step takes: ours and TRL's DPOTrainer, each alone in a process of its own.

    python -m benchmarks.memory model=smollm2_135m model.path=DIR data.path=DIR json=FILE

peak_bytes, peak_bytes_trl   of the whole process, the model and the libraries included; on a GPU of tensors alone
ratio_trl                    TRL's to ours

The same pairs and settings as in benchmarks.step. Own keys, with their values: conf/bench.yaml; the others:
src.train --help.
"""

from typing import Any

from benchmarks import ours, trl_peer
from benchmarks.arguments import Bench, command
from benchmarks.machine import thread_count
from benchmarks.material import material
from benchmarks.outcome import finish
from benchmarks.sides import Side, Work, alternate
from src.runtime.device import choose_device
from src.runtime.report import Report


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    sides: dict[str, Work] = {"ours": ours.learn}
    skipped = trl_peer.skipped(bench, report)
    if skipped is None:
        sides["TRL"] = trl_peer.dpo
    device, threads = choose_device(bench.config.device), thread_count(bench.keys.threads)
    found: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    with report.live(), material(bench, report) as given:
        for precision in bench.precisions():
            alone = {
                name: alternate(
                    {name: (work, given.at(precision))}, device, threads, bench.keys.warmup, bench.keys.repeats, report
                )[name]
                for name, work in sides.items()
            }
            found += [(precision, side) for side in alone.values()]
            peaks = {name: side.peak() for name, side in alone.items()}
            suffix = f"_{precision}" if len(bench.precisions()) > 1 else ""
            figures[f"peak_bytes{suffix}"] = peaks["ours"]
            if "TRL" in peaks:
                figures[f"peak_bytes_trl{suffix}"] = peaks["TRL"]
                figures[f"ratio_trl{suffix}"] = peaks["TRL"] / peaks["ours"]
    return finish("memory", bench, figures | {"skipped": skipped}, found, report)


if __name__ == "__main__":
    command(__doc__ or "", ("peer",), measure)
