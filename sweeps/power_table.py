"""The table of `sweeps.run FILE --power`: what the planned sweep can see, and how many seeds it would need."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from src.runtime.errors import ConfigError
from sweeps.contrasts import FEWEST, Contrast
from sweeps.power import MOST_SEEDS, seeds_needed, smallest_difference

LEVEL, POWERS, POINTS = 0.05, (0.8, 0.9), 2.0


def power_table(contrasts: Sequence[Contrast], sd: float | None, comparisons: int | None) -> tuple[Table, str]:
    """The table and the sentence below it.

    Args:
        contrasts: the comparisons of the sweep.
        sd: standard deviation, in points, where too few finished runs give one; None if there is none.
        comparisons: number of comparisons that Holm's procedure corrects for; None: all of the table.

    Raises:
        ConfigError: if a standard deviation is missing.
    """
    lacking = [contrast for contrast in contrasts if contrast.sd is None]
    if lacking and sd is None:
        named = f"{lacking[0].place}: {lacking[0].method} - {lacking[0].baseline}"
        raise ConfigError(
            [
                f"--power: {len(lacking)} of {len(contrasts)} comparisons have no standard deviation, since fewer than "
                f"{FEWEST} seeds are finished with both methods ({named}); give --sd POINTS, that of the paired "
                "difference over seeds, or --results FILE with finished runs, or run some seeds first"
            ]
        )
    count = comparisons or len(contrasts)
    alpha = LEVEL / count
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("task", "comparison", "SD"):
        table.add_column(title, no_wrap=True)
    for title in ("seeds", *(f"sees {power:.0%}" for power in POWERS), *(f"needs {power:.0%}" for power in POWERS)):
        table.add_column(title, justify="right", no_wrap=True)
    for contrast in contrasts:
        spread = contrast.sd or sd
        assert spread is not None
        smallest = [f"{smallest_difference(spread, contrast.seeds, alpha, power):.1f}" for power in POWERS]
        needed = [seeds_needed(POINTS, spread, alpha, power) or f"> {MOST_SEEDS}" for power in POWERS]
        source = f"{len(contrast.differences)} seeds" if contrast.sd else "--sd"
        names = f"{contrast.method} - {contrast.baseline}"
        row = (contrast.place, names, f"{spread:.2f} ({source})", str(contrast.seeds), *smallest, *map(str, needed))
        table.add_row(*map(escape, row))
    note = (
        "In points of win rate. SD: of the paired difference over seeds, and where it is from. Sees: the smallest true "
        f"difference that the planned seeds show with this probability. Needs: seeds for {POINTS:g} points. Paired t "
        f"test, two-sided, at {LEVEL:g} / {count} (the first step of Holm's procedure, {count} comparisons)."
    )
    return table, note


def show_power(console: Console, contrasts: Sequence[Contrast], sd: float | None, comparisons: int | None) -> None:
    """Prints the table.

    Raises:
        ConfigError: if a standard deviation is missing.
    """
    table, note = power_table(contrasts, sd, comparisons)
    console.print(table)
    console.print(note, highlight=False)
