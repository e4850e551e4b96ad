"""A learning step: ours against TRL's DPOTrainer, on the same pairs.

    python -m benchmarks.step model=smollm2_135m model.path=DIR data.path=DIR json=FILE
    python -m benchmarks.step model=smollm2_135m model.path=DIR data.path=DIR ensemble=5

ratio_trl              TRL's step, reference pass included, to ours; each side at its faster precision
ratio_trl_precomputed  the same where TRL has computed the reference's log-probs before, as ours has
ratio_sequential       with ensemble=N: N steps of one member, one after the other, to one step of all N
rate_share             operations the step cannot do without, a second, to those of a large matrix product here
peak_bytes             the most memory that our process took

With ensemble=N, TRL's step counts N times. Own keys, with their values: conf/bench.yaml; the others: src.train --help.
"""

import statistics
from typing import Any

from benchmarks import ours, trl_peer
from benchmarks.arguments import Bench, command
from benchmarks.figures import Ratio, ratio
from benchmarks.flops import Shape, step_flops
from benchmarks.machine import thread_count
from benchmarks.material import Material, material
from benchmarks.outcome import finish
from benchmarks.sides import Side, Work, alternate
from src.runtime.device import choose_device
from src.runtime.errors import RunError
from src.runtime.report import Report

# Log-probs of a response, in nats, that the two sides may differ by in float32 and still have scored the same tokens.
SAME = 1e-2
FIGURES = {"TRL": "ratio_trl", "TRL, precomputed": "ratio_trl_precomputed", "one by one": "ratio_sequential"}


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; what is written."""
    report = Report()
    rivals: dict[str, Work] = {"one by one": ours.learn_singly} if bench.config.ensemble > 1 else {}
    skipped = trl_peer.skipped(bench, report)
    if skipped is None:
        rivals |= {"TRL": trl_peer.dpo, "TRL, precomputed": trl_peer.dpo_precomputed}
    found: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    # rival -> precision -> seconds of ours and of theirs, of the same turns.
    seconds: dict[str, dict[str, tuple[list[float], list[float]]]] = {rival: {} for rival in rivals}
    with report.live(), material(bench, report) as given:
        for precision in bench.precisions():
            at = given.at(precision)
            own: list[Side] = []
            # Two processes at a time: TRL's take most of the memory.
            for rival, work in rivals.items() or [("", None)]:
                pair = _compared(bench, at, rival, work, report)
                own.append(pair[0])
                found += [(precision, side) for side in pair]
                if work is not None:
                    seconds[rival][precision] = pair[0].seconds(), pair[1].seconds()
            figures |= {f"{key}_{precision}": value for key, value in _own_figures(bench, at, own).items()}
    fastest = min(bench.precisions(), key=lambda precision: figures[f"seconds_{precision}"])
    headline: dict[str, Any] = {key: figures[f"{key}_{fastest}"] for key in ("seconds", "rate_share", "peak_bytes")}
    for rival, by_precision in seconds.items():
        headline |= best_ratio(by_precision).times(_steps(bench, rival)).named(FIGURES[rival])
    headline |= {"precision": fastest, "skipped": skipped}
    return finish("step", bench, headline | (figures if len(bench.precisions()) > 1 else {}), found, report)


def best_ratio(seconds: dict[str, tuple[list[float], list[float]]]) -> Ratio:
    """Theirs to ours, each side at the precision in which its median is smaller.

    Args:
        seconds: precision -> times of ours and theirs, turn by turn.
    """
    ours_of = min((times[0] for times in seconds.values()), key=statistics.median)
    theirs = min((times[1] for times in seconds.values()), key=statistics.median)
    return ratio(theirs, ours_of)


def _steps(bench: Bench, rival: str) -> int:
    """Steps of a rival that make one of ours: TRL trains one member, and `one by one` takes all steps in one turn."""
    return bench.config.ensemble if rival.startswith("TRL") else 1


def _compared(bench: Bench, given: Material, rival: str, work: Work | None, report: Report) -> list[Side]:
    """Ours and a rival in turn, on pairs of which both say the same."""
    sides: dict[str, tuple[Work, Any]] = {"ours": (ours.learn, given)}
    if work is not None:
        sides[rival] = work, given
    done = list(
        alternate(
            sides,
            choose_device(bench.config.device),
            thread_count(bench.keys.threads),
            bench.keys.warmup,
            bench.keys.repeats,
            report,
        ).values()
    )
    for side in done[1:]:
        check_same(done[0].facts, side, given.config.model.dtype)
    return done


def check_same(facts: dict[str, Any], rival: Side, precision: str) -> None:
    """That a rival had the same tokens, and its reference the same log-probs.

    Raises:
        RunError: if not; its times say nothing then.
    """
    if rival.facts["tokens"] != facts["tokens"]:
        raise RunError(f"{rival.name} had {rival.facts['tokens']} tokens a turn, ours {facts['tokens']}: not the same")
    theirs = rival.facts.get("reference")
    if theirs and precision == "float32":
        both = zip(sum(facts["reference"], []), sum(theirs, []), strict=True)
        apart = max(abs(one - other) for pair, others in both for one, other in zip(pair, others, strict=True))
        if not apart < SAME:
            raise RunError(
                f"{rival.name}'s reference log-probs differ from ours by {apart:.3g} nats: not the same work"
            )


def _own_figures(bench: Bench, given: Material, own: list[Side]) -> dict[str, Any]:
    """Of our side in one precision, over all its turns."""
    rate = max(side.facts["rate"] for side in own)
    shape = Shape(**own[0].facts["shape"])
    flops = [step_flops(shape, pairs, bench.config.ensemble) for pairs in given.pairs[bench.keys.warmup :]]
    shares = [count / (seconds * rate) for side in own for count, seconds in zip(flops, side.seconds(), strict=True)]
    return {
        "seconds": statistics.median(second for side in own for second in side.seconds()),
        "rate_share": statistics.median(shares),
        "peak_bytes": max(side.peak() for side in own),
        "flops": statistics.median(flops),
        "product_rate": rate,
    }


if __name__ == "__main__":
    command(__doc__ or "", ("peer",), measure)
