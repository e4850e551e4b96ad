"""The log-probs of a run's pairs under its trained policy: what training has made of the preferences it was given."""

from pathlib import Path
from typing import Any

from src.inference.scorer import Scorer
from src.models.policy import Policy, Weights
from src.records import Comparison, Prompt
from src.run_folder.round_files import load_round
from src.runtime import processes
from src.runtime.report import Report
from src.storage.files import write_text
from src.storage.rows import dump_row

FILE = "after.jsonl"
# Pairs of all rounds together: enough to look at, and at most a few per cent of a run's time.
PAIRS = 128


def rescore(
    folder: Path, rounds: int, prompts: list[Prompt], policy: Policy, trained: Weights, scorer: Scorer, report: Report
) -> None:
    """Writes the log-probs of some pairs of every round under the trained policy, to `after.jsonl`.

    The first pairs of each round are taken, equally many of each round and `PAIRS` in all; at least one of a round.

    Args:
        folder: the run's `pairs/`, with all its rounds.
        rounds: their number.
        prompts: of the train split.
        policy: holds the model.
        trained: the trained policy's weights.
        scorer: that of the run.
    """
    places: list[dict[str, Any]] = []
    taken: list[Comparison] = []
    for number in range(rounds):
        comparisons = load_round(folder, number, prompts)[0][: max(PAIRS // rounds, 1)]
        places += [{"round": number, "pair": place} for place in range(len(comparisons))]
        taken += comparisons
    ids = [pair.prompt.ids for pair in taken], [[response.ids for response in pair.responses] for pair in taken]
    with report.stage("scoring pairs under the trained policy", len(taken)) as tick, policy.using(trained) as model:
        logps = scorer.all_logps(model, *ids, tick).tolist()
    rows = [{**place, "logps": two} for place, two in zip(places, logps, strict=True)]
    processes.from_main(lambda: write_text(folder / FILE, "".join(map(dump_row, rows))))
