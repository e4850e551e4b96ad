"""A learning step: ours against TRL's DPOTrainer, on the same pairs.

    python -m benchmarks.step model=smollm2_135m model.path=DIR data.path=DIR json=FILE
    python -m benchmarks.step model=smollm2_135m model.path=DIR data.path=DIR ensemble=5

ratio_trl              time of TRL's step with its reference pass, relative to ours; each side at its faster precision
ratio_trl_precomputed  the same, with the reference's log-probs computed before the first step, as ours are
ratio_sequential       with ensemble=N: N steps of one member one after another, relative to one step of all N
rate_share             operations a second that the step cannot do without, relative to a large matrix product here
peak_bytes             peak memory of our process

With ensemble=N, TRL's step counts N times. Keys of benchmarks, with their values: conf/bench.yaml; the others:
src.train --help.
"""

import statistics
from typing import Any

from benchmarks import ours, trl_peer
from benchmarks.arguments import Bench, command
from benchmarks.figures import Ratio, ratio
from benchmarks.flops import Shape, step_flops
from benchmarks.material import Material, material
from benchmarks.outcome import finish
from benchmarks.sides import Side, Work, alternate_as_asked
from src.runtime.errors import RunError
from src.runtime.report import Report

# Largest difference of a response's log-prob, in nats, between two sides that scored the same tokens in float32.
SAME = 1e-2
FIGURES = {"TRL": "ratio_trl", "TRL, precomputed": "ratio_trl_precomputed", "one by one": "ratio_sequential"}


def measure(bench: Bench) -> dict[str, Any]:
    """Measures, prints and writes; returns the result as written."""
    report = Report()
    rivals: dict[str, Work] = {"one by one": ours.learn_singly} if bench.config.ensemble > 1 else {}
    skipped = trl_peer.skipped(bench, report)
    if skipped is None:
        rivals |= {"TRL": trl_peer.dpo, "TRL, precomputed": trl_peer.dpo_precomputed}
    measured: list[tuple[str, Side]] = []
    figures: dict[str, Any] = {}
    # rival -> precision -> (our seconds, their seconds), turn by turn.
    seconds: dict[str, dict[str, tuple[list[float], list[float]]]] = {rival: {} for rival in rivals}
    with report.live(), material(bench, report) as given:
        for precision in bench.precisions():
            at = given.at(precision)
            our_sides: list[Side] = []
            # Only two processes at a time, because TRL's take most of the memory.
            for rival, work in rivals.items() or [("", None)]:
                pair = _compared(bench, at, rival, work, report)
                our_sides.append(pair[0])
                measured += [(precision, side) for side in pair]
                if work is not None:
                    seconds[rival][precision] = pair[0].seconds(), pair[1].seconds()
            figures |= {f"{key}_{precision}": value for key, value in _our_figures(bench, at, our_sides).items()}
    fastest = min(bench.precisions(), key=lambda precision: figures[f"seconds_{precision}"])
    headline: dict[str, Any] = {key: figures[f"{key}_{fastest}"] for key in ("seconds", "rate_share", "peak_bytes")}
    for rival, by_precision in seconds.items():
        headline |= best_ratio(by_precision).times(_steps(bench, rival)).named(FIGURES[rival])
    headline |= {"precision": fastest, "skipped": skipped}
    return finish("step", bench, headline | (figures if len(bench.precisions()) > 1 else {}), measured, report)


def best_ratio(seconds: dict[str, tuple[list[float], list[float]]]) -> Ratio:
    """Their time relative to ours, each side at the precision with the smaller median.

    Args:
        seconds: precision -> (our seconds, their seconds), turn by turn.
    """
    ours_of = min((times[0] for times in seconds.values()), key=statistics.median)
    theirs = min((times[1] for times in seconds.values()), key=statistics.median)
    return ratio(theirs, ours_of)


def _steps(bench: Bench, rival: str) -> int:
    """Turns of a rival that do the work of one of our turns: TRL's turn trains one member, the others' all members."""
    return bench.config.ensemble if rival.startswith("TRL") else 1


def _compared(bench: Bench, given: Material, rival: str, work: Work | None, report: Report) -> list[Side]:
    """Our side and a rival's after taking turns; checks that both scored the same pairs."""
    sides: dict[str, tuple[Work, Any]] = {"ours": (ours.learn, given)}
    if work is not None:
        sides[rival] = work, given
    done = list(alternate_as_asked(sides, bench, report).values())
    for side in done[1:]:
        check_same(done[0].facts, side, given.config.model.dtype)
    return done


def check_same(facts: dict[str, Any], rival: Side, precision: str) -> None:
    """Checks that a rival had our tokens and, in float32, our reference log-probs.

    Args:
        facts: sent by our side when it was ready.

    Raises:
        RunError: if not; the rival's times mean nothing then.
    """
    if rival.facts["tokens"] != facts["tokens"]:
        raise RunError(f"{rival.name} had {rival.facts['tokens']} tokens a turn, ours {facts['tokens']}: not the same")
    theirs = rival.facts.get("reference")
    if theirs and precision == "float32":
        both = zip(sum(facts["reference"], []), sum(theirs, []), strict=True)
        apart = max(abs(our - their) for ours, theirs in both for our, their in zip(ours, theirs, strict=True))
        if not apart < SAME:
            raise RunError(
                f"{rival.name}'s reference log-probs differ from ours by {apart:.3g} nats: not the same work"
            )


def _our_figures(bench: Bench, given: Material, sides: list[Side]) -> dict[str, Any]:
    """Figures of our side in one precision, over all its turns against all rivals."""
    rate = max(side.facts["rate"] for side in sides)
    shape = Shape(**sides[0].facts["shape"])
    flops = [step_flops(shape, pairs, bench.config.ensemble) for pairs in given.pairs[bench.keys.warmup :]]
    shares = [count / (seconds * rate) for side in sides for count, seconds in zip(flops, side.seconds(), strict=True)]
    return {
        "seconds": statistics.median(second for side in sides for second in side.seconds()),
        "rate_share": statistics.median(shares),
        "peak_bytes": max(side.peak() for side in sides),
        "flops": statistics.median(flops),
        "product_rate": rate,
    }


if __name__ == "__main__":
    command(__doc__ or "", ("peer",), measure)
