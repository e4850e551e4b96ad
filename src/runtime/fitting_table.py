"""Tables that are whole at any width: turned on their side where a console is too narrow for them."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.runtime.printable import printable


def print_table(console: Console, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; with a row for each column where the console is too narrow for it.

    Args:
        title: above the table.
        names: of the columns; the first one names the rows.
        rows: the cells, as many as there are names in each.
    """
    cells = [list(names), *([*row] for row in rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(names))]
    fits = sum(widths) + 3 * len(names) + 1 <= console.width
    header, *body = cells if fits else [list(turned) for turned in zip(*cells, strict=True)]
    table = Table(title=Text(printable(title)))
    for number, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="right" if number else "left")
    for row in body:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table, soft_wrap=False)
