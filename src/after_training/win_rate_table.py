"""What `src.evaluate` prints."""

from src.after_training.head_to_head import HeadToHead
from src.runtime.fitting_table import print_table
from src.runtime.report import Report
from src.runtime.result_table import caveats, percent, with_error


def print_win_rates(comparison: HeadToHead, report: Report) -> None:
    """Prints a table with a row for the system and one for its opponent, then the counts and the notes."""
    row = comparison.row
    unit = row["length_unit"]
    size = f"{row['n_prompts']} prompts of {row['split']}" + (f" x {row['samples']}" if row["samples"] > 1 else "")
    gold = row["gold_score_mean"] is not None
    names = ("", "win rate", "95 % interval", "length-controlled", *["gold score"] * gold, unit, "distinct-3", "unique")
    system = [
        row["system"],
        percent(row["win_rate"]),
        f"{percent(row['win_rate_low'])} to {percent(row['win_rate_high'])}",
        with_error(row["win_rate_length_controlled"], row["win_rate_length_controlled_se"]),
        *([f"{row['gold_score_mean']:.2f}"] if gold else []),
        f"{row[f'response_{unit}_mean']:.1f}",
        f"{row['distinct_3']:.3f}",
        f"{row['unique_rate']:.3f}",
    ]
    length, diversity = f"{row[f'label_{unit}_mean']:.1f}", [f"{share:.3f}" for share in comparison.opponent_diversity]
    label_gold = [f"{row['label_gold_score_mean']:.2f}"] if gold else []
    opponent = [f"against {row['against']}", "", "", "", *label_gold, length, *diversity]
    print_table(report.console, f"{size}, judged by {row['judge']}", names, [system, opponent])
    report.say(f"{row['wins']} wins, {row['ties']} ties, {row['losses']} losses, {row['n_invalid']} invalid")
    for line in caveats(row):
        report.say(line)
    for note in comparison.notes:
        report.say(note)
    if row["judge_is_oracle"]:
        report.say("The judge is the oracle's own model: this win rate also rewards what only that model likes.")
