"""What `src.evaluate` prints."""

from rich.table import Table
from rich.text import Text

from src.after_training.head_to_head import HeadToHead
from src.runtime.printable import printable
from src.runtime.report import Report, percent


def print_win_rates(comparison: HeadToHead, report: Report) -> None:
    """Prints a table with a row for the system and one for its opponent, then the counts and the notes."""
    row = comparison.row
    low, high = row["win_rate_interval"] or (None, None)
    unit = row["length_unit"]
    table = Table(title=Text(printable(f"{row['n_prompts']} prompts of {row['split']}, judged by {row['judge']}")))
    for name in ("", "win rate", "95 % interval", "length-controlled", unit, "distinct-3", "unique"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    table.add_row(
        Text(printable(row["system"])),
        percent(row["win_rate"]),
        f"{percent(low)} to {percent(high)}",
        percent(row["win_rate_length_controlled"]),
        f"{row[f'response_{unit}_mean']:.1f}",
        f"{row['distinct_3']:.3f}",
        f"{row['unique_rate']:.3f}",
    )
    length, diversity = f"{row[f'label_{unit}_mean']:.1f}", [f"{share:.3f}" for share in comparison.opponent_diversity]
    table.add_row(Text(printable(f"against {row['against']}")), "", "", "", length, *diversity)
    report.console.print(table)
    report.say(f"{row['wins']} wins, {row['ties']} ties, {row['losses']} losses, {row['n_invalid']} invalid")
    for note in comparison.notes:
        report.say(note)
    if row["judge_is_oracle"]:
        report.say("The judge is the oracle's own model: this win rate also rewards what only that model likes.")
