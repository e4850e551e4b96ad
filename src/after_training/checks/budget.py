"""Checks of what a run spent: pairs annotated and responses generated, counted in pairs/."""

from itertools import accumulate

from src.after_training.check import AGREES, DIFFERS, Check, none_of, same, unknown
from src.after_training.finished_run import FinishedRun
from src.records import Tally


def budget(run: FinishedRun) -> list[Check]:
    """Every count of the result rows that pairs/ holds too, and whether the budget T x batch_size was kept."""
    return [
        same("annotated_pairs", run.result["annotated_pairs"], sum(run.annotated), "in pairs/"),
        _ties(run),
        _annotated_by_round(run),
        _planned(run),
        _kept(run),
        _last_summary(run),
        _generated(run),
    ]


def _ties(run: FinishedRun) -> Check:
    """Pairs that the oracle gave no preference for."""
    name, pairs = "ties and unusable answers", run.all_pairs
    if sum(run.annotated) != len(pairs):
        return unknown(name, "of pairs that were annotated beyond the budget, only those that were used are kept")
    reported = run.result["oracle_ties"] + run.result["oracle_invalid"]
    return same(name, reported, sum(pair["chosen"] is None for pair in pairs), "in pairs/")


def _annotated_by_round(run: FinishedRun) -> Check:
    """The pairs that every result row says were annotated by then."""
    after_round = dict(enumerate(accumulate(run.annotated)))
    problems = []
    for row in run.results:
        if row["round"] < 0:  # the SFT policy's
            continue
        expected = after_round.get(row["round"], -1) if row["step"] > 0 else 0
        if row["annotated_pairs"] != expected:
            problems.append(f"{row['annotated_pairs']} after step {row['step']}, {expected} in pairs/")
    return none_of("annotated_pairs by round", problems, str(list(after_round.values())))


def _planned(run: FinishedRun) -> Check:
    """Whether every round has the pairs that its plan gave to the prompts."""
    problems = []
    for number, ((rows, _), plan) in enumerate(zip(run.pairs, run.plans, strict=True)):
        planned = sum(prompt["depth"] for prompt in plan.prompts) if plan else len(rows)
        if planned != len(rows):
            problems.append(f"{len(rows)} in round {number}, its plan says {planned}")
    return none_of("pairs of the plans", problems, f"{len(run.plans)} rounds")


def _kept(run: FinishedRun) -> Check:
    """Whether at most T x batch_size pairs were used."""
    used, annotated = len(run.all_pairs), sum(run.annotated)
    most = run.config["T"] * run.config["batch_size"]
    beyond = f", and {annotated - used} annotated besides" if annotated > used else ""
    return Check("budget kept", AGREES if used <= most else DIFFERS, f"{used} of T x batch_size = {most}{beyond}")


def _last_summary(run: FinishedRun) -> Check:
    """Whether the result has the counts of the last round's summary."""
    summary = run.pairs[-1][1] if run.pairs else {}
    problems = [
        f"{name}={run.result.get(name)}, {summary.get(name)} in pairs/"
        for name in vars(Tally())
        if run.result.get(name) != summary.get(name)  # runs of earlier versions lack some
    ]
    return none_of("what the last round noted", problems, "every count")


def _generated(run: FinishedRun) -> Check:
    """Whether at least as many responses were generated as pairs/ holds different ones."""
    name, reported = "generated_responses", run.result["generated_responses"]
    if run.result["oracle"] == "dataset":
        return same(name, reported, 0, "where the data have the pairs")
    different = {
        (number, pair["prompt_id"], tuple(response["ids"]))
        for number, (rows, _) in enumerate(run.pairs)
        for pair in rows
        for response in pair["responses"]
    }
    state = AGREES if reported >= len(different) else DIFFERS
    return Check(name, state, f"{reported}, of which {len(different)} different ones are in pairs/")
