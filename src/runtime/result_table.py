"""The figures of result rows, as they are printed."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from src.runtime.fitting_table import print_table


def print_results(console: Console, sft: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """Prints the table at the end of a run.

    Args:
        sft, final: result rows of the SFT policy and of the trained one, on the same prompts.
    """
    size = f"{final['n_prompts']} prompts of {final['split']}"
    size += f", {final['samples']} responses each" if final["samples"] > 1 else ""
    gold = final["gold_score_mean"] is not None
    trained = f"{final['loss']}, reference {final['reference']}, F={final['F']}{_allocated(final)}"
    names = ["policy", "win rate", "length-controlled", *["gold score (label)"] * gold, "tokens (label)", "KL to SFT"]
    rows = [
        [
            name,
            with_error(row["win_rate"], row["win_rate_se"]),
            with_error(row["win_rate_length_controlled"], row["win_rate_length_controlled_se"]),
            *([f"{row['gold_score_mean']:.2f} ({row['label_gold_score_mean']:.2f})"] if gold else []),
            f"{row['response_tokens_mean']:.1f} ({row['label_tokens_mean']:.1f})",
            f"{row['kl_sft']:.2f}",
        ]
        for name, row in (("SFT", sft), (trained, final))
    ]
    print_table(console, f"{size}, against the human text (± one standard error)", names, rows)


def percent(share: float | None) -> str:
    """A share in percent, for a table: "45.9%"; "-" for None."""
    return "-" if share is None else f"{share:.1%}"


def with_error(share: float | None, error: float | None) -> str:
    """A share in percent with its standard error: "45.9 ± 0.6 %"; "-" for None."""
    if share is None or error is None:
        return percent(share)
    return f"{100 * share:.1f} ± {100 * error:.1f} %"


def _allocated(row: Mapping[str, Any]) -> str:
    """The allocation of a run for its label, with the rounds that were made by it; empty for uniform."""
    if row.get("allocation", "uniform") == "uniform":
        return ""
    fallback = row.get("fallback_rounds", 0)
    return f", {row['allocation']}" + (f" in {row['F'] - fallback} of {row['F']} rounds" if fallback else "")


def caveats(row: Mapping[str, Any]) -> list[str]:
    """What a reader of a result row's win rates has to know, a line each."""
    lines = []
    if row["n_invalid"]:
        bounds = f"between {percent(row['win_rate_lowest'])} and {percent(row['win_rate_highest'])}"
        lines.append(
            f"{row['n_invalid']} of {row['n_prompts'] * row['samples']} responses got no usable verdict of the judge "
            f"and count as no vote (n_invalid); whatever it had been, the win rate is {bounds}"
        )
    if row.get("oracle_invalid"):
        lines.append(
            f"{row['oracle_invalid']} of {row['annotated_pairs']} annotated pairs got no usable verdict of the oracle "
            "and made no training pair (oracle_invalid)"
        )
    if row.get("fallback_rounds"):
        lines.append(
            f"allocation={row['allocation']}: {row['fallback_rounds']} of {row['F']} rounds were made uniformly "
            "instead (fallback_rounds; pairs/plan_*.json say why)"
        )
    if row["length_controlled_why"]:
        lines.append(f"no length-controlled win rate: {row['length_controlled_why']}")
    return lines
