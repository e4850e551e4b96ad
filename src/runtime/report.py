"""What a person sees: progress bars in a terminal, a line a stage elsewhere, and a table at the end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from src.runtime import processes
from src.runtime.printable import printable


class Tick(Protocol):
    """Told about parts of a stage that are done, and what to show beside the bar."""

    def __call__(self, parts: int = 1, note: str = "") -> None: ...


class Report:
    """Prints to standard output; of several processes the main one does.

    Args:
        console: where to; by default the terminal, or plain lines where there is none.
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
        """Shows the bars during the block."""
        with self._progress:
            yield self

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(escape(printable(text)), highlight=False)

    def warn(self, text: str) -> None:
        """One line that should not be missed; the same line again, for another member say, is not printed."""
        if text in self._warned:
            return
        self._warned.add(text)
        self.console.print(f"[yellow]warning:[/] {escape(printable(text))}", highlight=False)

    @contextmanager
    def stage(self, title: str, total: int, listed: bool = True) -> Iterator[Tick]:
        """A stage of so many parts: a bar in a terminal, elsewhere a line (if it is `listed`).

        Yields:
            What to call when parts are done.
        """
        if listed and not self.console.is_terminal:
            self.say(title)
        task = self._progress.add_task(escape(printable(title)), total=total, note="")
        try:
            yield lambda parts=1, note="": self._progress.update(task, advance=parts, note=note)
        finally:
            self._progress.remove_task(task)

    def start(self, T: int) -> None:
        """The run begins: T steps to learn."""
        self._learning = self._progress.add_task("learning", total=T, note="")

    def step(self, round: int, step: int, metrics: dict[str, Any]) -> None:
        """A step was taken."""
        if self._learning is not None:
            loss = metrics["loss"]
            note = f"round {round}" + (f"  loss {loss:.3f}" if loss is not None else "")
            self._progress.update(self._learning, completed=step + 1, note=note)

    def result(self, sft: dict[str, Any], final: dict[str, Any], folder: Path) -> None:
        """The table at the end."""
        table = Table(title=f"{final['n_prompts']} prompts of {final['split']}, against the human text")
        for name in ("policy", "win rate", "length-controlled", "tokens (label)", "distinct-3", "KL to SFT"):
            table.add_column(name, justify="left" if name == "policy" else "right")
        trained = f"{final['loss']}, reference {final['reference']}, F={final['F']}"
        for name, row in (("SFT", sft), (trained, final)):
            table.add_row(
                name,
                percent(row["win_rate"]),
                percent(row["win_rate_length_controlled"]),
                f"{row['response_tokens_mean']:.1f} ({row['label_tokens_mean']:.1f})",
                f"{row['distinct_3']:.3f}",
                f"{row['kl_sft']:.2f}",
            )
        self.console.print(table)
        if final["n_invalid"]:
            self.warn(f"{final['n_invalid']} answers of the judge were of no use and count as no vote (n_invalid)")
        for role in ("oracle", "judge"):
            if final[f"{role}_calls"] or final[f"{role}_cached"]:
                self.say(
                    f"The {role}: {final[f'{role}_calls']} answers of {final[f'{role}_tokens']} tokens paid for, "
                    f"{final[f'{role}_cached']} found on disk."
                )
        if final["judge_is_oracle"]:
            self.say("The judge is the oracle's own model: this win rate also rewards what only that model likes.")
        self.say(f"Written: {folder}/ (results.jsonl, samples.jsonl, metrics.jsonl, pairs/, policy/)")
        self.say(f"Read what was learned: {folder}/samples.jsonl. Compare: add  F=1  or  reference=sft , -m seed=0,1,2")


def percent(share: float | None) -> str:
    """A share for a table; a dash where there is none."""
    return "-" if share is None else f"{share:.1%}"
