"""What a command prints: progress bars in a terminal, else a line per stage; a table of results at the end."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from src.runtime import processes
from src.runtime.printable import printable

# Between two lines about one stage, where there is no terminal.
PROGRESS_SECONDS = 30.0


class Tick(Protocol):
    """Advances the bar of a stage."""

    def __call__(self, parts: int = 1, note: str = "") -> None:
        """Counts `parts` more as done, and shows `note` beside the bar."""
        ...


class Report:
    """Prints to standard output, in the main process only.

    Args:
        console: by default standard output, with progress bars if it is a terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        width = None if sys.stdout.isatty() else 120
        self.console = console or Console(soft_wrap=True, width=width, quiet=not processes.is_main())
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, console=self.console, disable=self.console.quiet or not self.console.is_terminal
        )
        self._learning: TaskID | None = None
        self._warned: set[str] = set()

    @contextmanager
    def live(self) -> Iterator["Report"]:
        """Shows progress bars during the block."""
        with self._progress:
            yield self

    def say(self, text: str) -> None:
        """Prints one line."""
        self.console.print(escape(printable(text)), highlight=False)

    def warn(self, text: str) -> None:
        """Prints a warning, once: the same text again (for another member of the ensemble, say) is dropped."""
        if text in self._warned:
            return
        self._warned.add(text)
        self.console.print(f"[yellow]warning:[/] {escape(printable(text))}", highlight=False)

    @contextmanager
    def stage(self, title: str, total: int, listed: bool = True) -> Iterator[Tick]:
        """Shows a stage of the run during the block: a bar in a terminal, else a line, and one every half minute.

        Args:
            title: what the stage does.
            total: parts of the stage.
            listed: whether to print the line.

        Yields:
            A function that advances the bar.
        """
        if listed and not self.console.is_terminal:
            self.say(title)
        task = self._progress.add_task(escape(printable(title)), total=total, note="")
        began = said = time.monotonic()
        done = 0

        def advance(parts: int = 1, note: str = "") -> None:
            nonlocal said, done
            self._progress.update(task, advance=parts, note=note)
            done, now = done + parts, time.monotonic()
            if not self.console.is_terminal and now - said >= PROGRESS_SECONDS and done < total:
                said = now
                self.say(f"{title}: {done} of {total} after {now - began:.0f} s{note and f', {note}'}")

        try:
            yield advance
        finally:
            self._progress.remove_task(task)

    def start(self, T: int) -> None:
        """Shows the bar of the whole run, of T optimizer steps."""
        self._learning = self._progress.add_task("learning", total=T, note="")

    def step(self, round: int, step: int, metrics: dict[str, Any]) -> None:
        """Advances the bar of the whole run.

        Args:
            round: number of the round.
            step: number of the optimizer step that was taken, from 0.
            metrics: of the step; "loss" is shown.
        """
        if self._learning is not None:
            loss = metrics["loss"]
            note = f"round {round}" + (f"  loss {loss:.3f}" if loss is not None else "")
            self._progress.update(self._learning, completed=step + 1, note=note)

    def result(self, sft: dict[str, Any], final: dict[str, Any], folder: Path) -> None:
        """Prints the table of results, and where the run's files are.

        Args:
            sft, final: result rows of the SFT policy and of the trained one, on the same prompts.
            folder: of the run.
        """
        size = f"{final['n_prompts']} prompts of {final['split']}"
        size += f", {final['samples']} responses each" if final["samples"] > 1 else ""
        table = Table(title=f"{size}, against the human text (± one standard error)")
        gold = final["gold_score_mean"] is not None
        scores = ["gold score (label)"] * gold
        for name in ("policy", "win rate", "length-controlled", *scores, "tokens (label)", "KL to SFT"):
            table.add_column(name, justify="left" if name == "policy" else "right")
        trained = f"{final['loss']}, reference {final['reference']}, F={final['F']}{_allocated(final)}"
        for name, row in (("SFT", sft), (trained, final)):
            table.add_row(
                name,
                with_error(row["win_rate"], row["win_rate_se"]),
                with_error(row["win_rate_length_controlled"], row["win_rate_length_controlled_se"]),
                *([f"{row['gold_score_mean']:.2f} ({row['label_gold_score_mean']:.2f})"] if gold else []),
                f"{row['response_tokens_mean']:.1f} ({row['label_tokens_mean']:.1f})",
                f"{row['kl_sft']:.2f}",
            )
        self.console.print(table)
        for line in caveats(final):
            self.warn(line)
        for role in ("oracle", "judge"):
            if final[f"{role}_calls"] or final[f"{role}_cached"]:
                self.say(
                    f"The {role}: paid for {final[f'{role}_calls']} answers (two a pair), {final[f'{role}_tokens']} "
                    f"tokens; {final[f'{role}_cached']} more answers came from the cache."
                )
        if final["judge_is_oracle"]:
            self.say("The judge is the oracle's model: this win rate also rewards what only that model prefers.")
        self.say(f"Written: {folder}/ (results.jsonl, samples.jsonl, metrics.jsonl, pairs/, policy/)")
        self.say(
            f"Read the responses in {folder}/samples.jsonl. To compare, add  F=1  or  reference=sft  or  -m seed=0,1,2"
        )


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
