"""What a command prints: progress bars in a terminal, else lines; a table of results at the end."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from src.runtime import processes
from src.runtime.pace import Pace, Remaining
from src.runtime.printable import printable
from src.runtime.result_table import caveats, print_results, with_error

# Columns that a terminal has where a bar stands beside its words.
ROOM = 80


class Tick(Protocol):
    """Advances the bar of a stage."""

    def __call__(self, parts: int = 1, note: str = "") -> None:
        """Counts `parts` more as done, and shows `note` beside the bar."""
        ...


class Report:
    """Prints to standard output, in the main process only.

    Args:
        console: by default standard output, with progress bars if it is a terminal that can draw them.
        name: of a job that runs beside others: it begins every line, and no bar is drawn.
    """

    def __init__(self, console: Console | None = None, name: str = "") -> None:
        self.console = console or Console(soft_wrap=True, width=_width(), quiet=not processes.is_main())
        self.name = name
        self._bars = self.console.is_terminal and not self.console.is_dumb_terminal and not name
        self._progress = Progress(
            *_columns(self.console.width),
            console=self.console,
            disable=self.console.quiet or not self._bars,
            transient=True,
        )
        self._pace = Pace()
        self._learning: TaskID | None = None
        self._T = 0
        self._remaining: Remaining | None = None
        self._win_rate = ""
        self._warned: set[str] = set()

    @contextmanager
    def live(self) -> Iterator["Report"]:
        """Shows progress bars during the block."""
        with self._progress:
            yield self

    def say(self, text: str) -> None:
        """Prints a text, broken at words in a terminal and one line elsewhere."""
        self._print(text)

    def as_it_is(self, line: str) -> None:
        """Prints a line that is never broken, so that a command in it can be copied whole."""
        self.console.print(escape(printable(line)), highlight=False)

    def warn(self, text: str) -> None:
        """Prints a warning, once: the same text again (for another member of the ensemble, say) is dropped."""
        if text not in self._warned:
            self._warned.add(text)
            self._print(text, "warning: ")

    def _print(self, text: str, kind: str = "") -> None:
        name = f"{self.name}: " if self.name else ""
        lines = printable(f"{name}{kind}{text}")
        if self.console.is_terminal:
            # Rich would break a path that is longer than a line, which could not be copied then.
            lines = "\n".join(
                textwrap.fill(line, self.console.width, break_long_words=False, break_on_hyphens=False)
                for line in lines.split("\n")
            )
        shown = escape(lines)
        if kind and shown.startswith(f"{escape(name)}{kind}"):
            start = len(escape(name))
            shown = f"{shown[:start]}[yellow]{kind.strip()}[/]{shown[start + len(kind.strip()) :]}"
        self.console.print(shown, highlight=False)

    @contextmanager
    def stage(self, title: str, total: int, listed: bool = True) -> Iterator[Tick]:
        """Shows a stage of the run during the block: a bar in a terminal, else a line, and more if it takes long.

        Args:
            title: what the stage does.
            total: parts of the stage.
            listed: whether to print the first line.

        Yields:
            A function that advances the bar.
        """
        if listed and not self._bars and not self.name:
            self.say(title)
        task = self._progress.add_task(escape(printable(title)), total=total, note="")
        done, remaining = 0, Remaining(total)

        def tick(parts: int = 1, note: str = "") -> None:
            nonlocal done
            done += parts
            self._progress.update(task, advance=parts, note=note)
            if not self._bars and done < total and self._pace.due():
                self.say(
                    ", ".join(part for part in (f"{title}: {done} of {total}", note, remaining.after(done)) if part)
                )

        try:
            yield tick
        finally:
            self._progress.remove_task(task)

    def start(self, T: int) -> None:
        """Shows the bar of the whole run, of T optimizer steps."""
        self._T = T
        self._learning = self._progress.add_task("learning", total=T, note="")

    def step(self, round: int, step: int, metrics: Mapping[str, Any]) -> None:
        """Advances the bar of the whole run; without bars prints a line every so often.

        Args:
            round: number of the round.
            step: number of the optimizer step that was taken, from 0.
            metrics: of the step; "loss" is shown.
        """
        if self._learning is None:
            return
        loss = "" if metrics["loss"] is None else f"loss {metrics['loss']:.3f}"
        note = [f"round {round}", loss, self._win_rate]
        self._progress.update(self._learning, completed=step + 1, note="  ".join(part for part in note if part))
        if self._remaining is None:  # a run that goes on has steps behind it
            self._remaining = Remaining(self._T, step + 1)
        if not self._bars and step + 1 < self._T and self._pace.due():
            words = [f"step {step + 1} of {self._T}", *note, self._remaining.after(step + 1)]
            self.say(", ".join(word for word in words if word))

    def validated(self, row: Mapping[str, Any]) -> None:
        """Prints the win rate of an evaluation during training.

        Args:
            row: its result row.
        """
        rate = with_error(row["win_rate"], row["win_rate_se"])
        self._win_rate = f"wins {rate.partition(' ')[0].rstrip('%')}%" if row["win_rate"] is not None else ""
        who = f"step {row['step']}" if row["step"] else "SFT policy"
        self.say(f"{who}: win rate {rate} on {row['n_prompts']} prompts of {row['split']}")

    def result(self, sft: dict[str, Any], final: dict[str, Any], folder: Path) -> None:
        """Prints the results of a run, and where its files are.

        Args:
            sft, final: result rows of the SFT policy and of the trained one, on the same prompts.
            folder: of the run.
        """
        if self.name:
            rate, before = (with_error(row["win_rate"], row["win_rate_se"]) for row in (final, sft))
            self.say(f"finished: win rate {rate} (SFT policy {before}) on {final['split']}, {final['seconds']:.0f} s")
        else:
            print_results(self.console, sft, final)
        for line in caveats(final):
            self.warn(line)
        for role in ("oracle", "judge"):
            if final[f"{role}_calls"] or final[f"{role}_cached"]:
                self.say(
                    f"The {role}: paid for {final[f'{role}_calls']} answers (two a pair), {final[f'{role}_tokens']} "
                    f"tokens; {final[f'{role}_cached']} more answers came from the cache."
                )
        if not self.name:
            if final["judge_is_oracle"]:
                self.say("The judge is the oracle's model: this win rate also rewards what only that model prefers.")
            self.say(f"Written: {folder}/ (results.jsonl, samples.jsonl, metrics.jsonl, pairs/, policy/)")


def _width() -> int | None:
    """Columns of standard output; None: rich measures the terminal, which may change its size."""
    if not sys.stdout.isatty():
        return 120
    # Rich takes a dumb terminal for one of 80 columns.
    return shutil.get_terminal_size().columns if os.environ.get("TERM", "").lower() in ("dumb", "unknown") else None


def _columns(width: int) -> list[ProgressColumn]:
    """What stands beside each other in a line of progress; words are broken between lines, never cut."""
    text = TextColumn("[bold]{task.description}", table_column=Column(no_wrap=False, overflow="fold"))
    note = TextColumn("{task.fields[note]}", table_column=Column(no_wrap=False, overflow="fold"))
    bar = [BarColumn(bar_width=20 if width < 120 else 40)] if width >= ROOM else []
    return [text, *bar, MofNCompleteColumn(), note, TimeRemainingColumn()]
