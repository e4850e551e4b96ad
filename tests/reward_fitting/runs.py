"""Folders with the pairs of a run, as far as a reward model reads them."""

from pathlib import Path

from src.records import Comparison, Prompt, Response, Row, Tally
from src.run_folder.round_files import save_round

# Overrides that make a fit small.
SMALL = ("experiment=smoke", "reward.steps=4", "reward.batch_size=4", "reward.count=40", "reward.held_out=0.25")


def comparison(number: int, chosen: int | None = 0) -> Comparison:
    prompt = Prompt(number, Row(f"prompt {number}", "label"), (2, 3), (4,))
    responses = Response((5,), f"good {number}"), Response((6, 7), f"bad {number}")
    return Comparison(prompt, responses, (0.5, -1.0), chosen, {"sft": (-1.0, -2.0)})


def run_folder(folder: Path, rounds: list[list[Comparison]], oracle: str = "{temperature: 0.25, flip: 0.1}") -> Path:
    for number, comparisons in enumerate(rounds):
        save_round(folder / "pairs", number, comparisons, 1, Tally(), "hash")
    (folder / "config.yaml").write_text(f"oracle: {oracle}\n")
    return folder
