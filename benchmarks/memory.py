"""Peak memory of a learning step: ours and TRL's DPOTrainer, one at a time, each in a process of its own.

    python -m benchmarks.memory model=smollm2_135m model.path=DIR data.path=DIR json=FILE

peak_bytes, peak_bytes_trl   of the whole process, model and libraries included; on a GPU of the tensors only
ratio_trl                    TRL's peak relative to ours

Pairs and settings are those of benchmarks.step. Keys of benchmarks, with their values: conf/bench.yaml; the others:
src.train --help.
"""

from typing import Any

from benchmarks import ours, trl_peer
from benchmarks.arguments import Bench, command
from benchmarks.material import material
from benchmarks.outcome import finish
from benchmarks.sides import Side, Work, alternate_as_asked
from src.runtime.report import Report


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    sides: dict[str, Work] = {"ours": ours.learn}
    skipped = trl_peer.skipped(bench, report)
    if skipped is None:
        sides["TRL"] = trl_peer.dpo
    done: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    with report.live(), material(bench, report) as given:
        for precision in bench.precisions():
            alone = {
                name: alternate_as_asked({name: (work, given.at(precision))}, bench, report)[name]
                for name, work in sides.items()
            }
            done += [(precision, side) for side in alone.values()]
            peaks = {name: side.peak() for name, side in alone.items()}
            suffix = f"_{precision}" if len(bench.precisions()) > 1 else ""
            figures[f"peak_bytes{suffix}"] = peaks["ours"]
            if "TRL" in peaks:
                figures[f"peak_bytes_trl{suffix}"] = peaks["TRL"]
                figures[f"ratio_trl{suffix}"] = peaks["TRL"] / peaks["ours"]
    return finish("memory", bench, figures | {"skipped": skipped}, done, report)


if __name__ == "__main__":
    command(__doc__ or "", ("peer",), measure)
