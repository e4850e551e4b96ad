"""What `src.reward` prints: agreement and calibration on held-out pairs, and how to use the model."""

import re
import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

from src.runtime.report import Report
from src.runtime.result_table import percent


def show(facts: dict[str, Any], out: Path, report: Report) -> None:
    """Prints the tables, and the keys to type for this model as the oracle and the judge.

    Args:
        facts: reward.json.
        out: folder of the reward model.
    """
    table = Table(
        "agreement with", "of pairs", "95 % interval", "pairs", "at most",
        title=f"on {facts['held_out_pairs']} pairs of {facts['held_out_prompts']} held-out prompts",
    )  # fmt: skip
    for name, key, ceiling in (
        ("the annotator's label", "accuracy", facts["accuracy_ceiling"]),
        ("the gold score", "gold_agreement", 1.0),
        ("the gold score, by the labels themselves", "gold_agreement_of_labels", 1.0),
    ):
        if (share := facts[key]) is not None:
            interval = f"{share['low']:.1%} to {share['high']:.1%}"
            table.add_row(name, percent(share["value"]), interval, str(share["n"]), percent(ceiling))
    report.console.print(table)
    bins = Table("P(first is chosen)", "pairs", "predicted", "observed", title=f"calibration error {facts['ece']:.1%}")
    for row in facts["bins"]:
        shares = [f"{row[name]:.1%}" if row["n"] else "" for name in ("predicted", "observed")]
        bins.add_row(f"{row['from']:.1f} to {row['to']:.1f}", str(row["n"]), *shares)
    report.console.print(bins)
    report.say(f"Fitted on {facts['pairs']} pairs ({facts['ties_left_out']} ties left out): {out}/")
    report.say(f"Use it: {' '.join(keys_of(group, facts, out) for group in ('oracle', 'judge'))}")


def keys_of(group: str, facts: dict[str, Any], out: Path) -> str:
    """The keys to type for a model as the oracle or the judge, quoted for Hydra, then for a shell.

    Args:
        group: "oracle" or "judge".
        facts: reward.json.
        out: folder of the reward model.
    """
    path = str(out)
    if not re.fullmatch(r"[\w./+:-]+", path, re.ASCII):
        path = "'" + path.replace("'", "\\'") + "'"
    values = {"path": path, "input": facts["input"], "max_length": facts["max_length"]}
    keys = [f"{group}=reward_model", *(f"{group}.{key}={value}" for key, value in values.items())]
    return " ".join(map(_for_a_shell, keys))


def _for_a_shell(key: str) -> str:
    """A key quoted for a shell; in double quotes where Hydra's are single ones, which shlex would write as five."""
    return f'"{key}"' if "'" in key and not set(key) & set('"$`\\!') else shlex.quote(key)
