"""From finished runs to tables, figures and a page."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:
    # Run as a script, Python puts analysis/ first on its path. The folder above has the package of this checkout, as
    # `python -m analysis.aggregate` finds it, and not that of another checkout that is installed.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.errors import AnalysisError
from analysis.metrics import METRICS
from analysis.names import FIGURES, FORMATS

EXAMPLES = """examples:
  python analysis/aggregate.py
      all figures of all finished runs below outputs/, into outputs/analysis/
  python analysis/aggregate.py outputs/RUN --watch
      one run, and again whenever it has gone on
  python analysis/aggregate.py outputs --figures fig1,fig3 --where T=64 --format png,svg --out paper
      two figures of the runs with T=64
  python analysis/aggregate.py --wandb ENTITY/PROJECT --metric win_rate_length_controlled --strict
      from a W&B project; refused if runs are not comparable or missing
"""
# In points of a win rate, which is at most this.
MOST_MARGIN = 100
# Inches: a column of a page of two, and the widths that a figure may have.
COLUMN, WIDTHS = 3.25, (2.5, 20)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python analysis/aggregate.py", description=__doc__, epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="folders with runs (default: outputs)")
    made.add_argument("--wandb", metavar="ENTITY/PROJECT", help="read a W&B project in place of folders")
    made.add_argument(
        "--example", action="store_true", help="take the runs that come with the analysis, short ones of a small model"
    )
    made.add_argument(
        "--figures", metavar="NAMES", help=f"of {','.join(FIGURES)}, or all (default: all there is data for)"
    )
    made.add_argument(
        "--metric", default="win_rate", choices=tuple(METRICS), help="what is compared (default: win_rate)"
    )
    made.add_argument(
        "--where", action="append", default=[], metavar="KEY=VALUE[,VALUE]",
        help="take only runs with this setting, e.g. T=64 or learning_rate=3e-4; may be repeated",
    )  # fmt: skip
    made.add_argument(
        "--strict", action="store_true",
        help="refuse runs that are not comparable, and missing runs, instead of making a study of each group and "
        "leaving out methods and tasks",
    )  # fmt: skip
    made.add_argument(
        "--allow-incomplete", action="store_true",
        help="with --strict: leave out methods and tasks that have missing runs, as without --strict",
    )  # fmt: skip
    made.add_argument(
        "--watch", action="store_true", help="make everything again whenever a run has gone on, until all are finished"
    )
    made.add_argument(
        "--out", type=Path, default=Path("outputs/analysis"), metavar="DIR",
        help="where to write (default: outputs/analysis)",
    )  # fmt: skip
    made.add_argument("--format", default="svg", metavar="NAMES", help=f"of {','.join(FORMATS)} (default: svg)")
    made.add_argument(
        "--style", default="page", choices=("page", "paper"),
        help="paper: figures of --width inches, fonts embedded, points as vector shapes (default: page)",
    )  # fmt: skip
    made.add_argument(
        "--width", type=float, default=COLUMN, metavar="INCHES",
        help=f"width of a figure with --style paper (default: {COLUMN}, a column of two)",
    )  # fmt: skip
    made.add_argument("--published", action="store_true", help="show the paper's values, where they are known")
    made.add_argument(
        "--margin", type=float, metavar="X",
        help="largest difference that does not matter, in the unit of the figures (default: 2 points of a win rate)",
    )  # fmt: skip
    made.add_argument("--reps", type=int, default=50_000, metavar="N", help="bootstrap repetitions (default: 50000)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default: 0)")
    made.add_argument("--samples", type=int, default=100, metavar="N", help="samples a run on the page (default: 100)")
    return made


def problems_of(arguments: argparse.Namespace) -> list[str]:
    """Everything wrong with the arguments that argparse does not check, one line each."""
    found = []
    asked = arguments.figures.split(",") if arguments.figures not in (None, "all") else []
    figures = FIGURES if set(asked) <= set(FIGURES) else _all_figures()
    for option, known, given in (("figures", figures, asked), ("format", FORMATS, arguments.format.split(","))):
        unknown = [name for name in given if name not in known]
        if unknown:
            found.append(f"--{option} {','.join(unknown)}: expected some of {', '.join(known)}")
    for option, lowest, highest in (("reps", 100, 10_000_000), ("seed", 0, 2**32 - 1), ("samples", 0, 1_000_000)):
        value = getattr(arguments, option)
        if not lowest <= value <= highest:
            found.append(f"--{option} {value}: expected a number from {lowest} to {highest}")
    if arguments.margin is not None and not 0 < arguments.margin <= MOST_MARGIN:
        found.append(f"--margin {arguments.margin:g}: expected a number above 0, up to {MOST_MARGIN}")
    if not WIDTHS[0] <= arguments.width <= WIDTHS[1]:
        found.append(f"--width {arguments.width:g}: expected inches, from {WIDTHS[0]} to {WIDTHS[1]}")
    if arguments.width != COLUMN and arguments.style != "paper":
        found.append(f"--width {arguments.width:g} is for --style paper only")
    if arguments.wandb is not None:
        if arguments.folders:
            found.append(f"--wandb and folders ({', '.join(map(str, arguments.folders))}): expected one of them")
        if len([part for part in arguments.wandb.split("/") if part]) != 2 or arguments.wandb.count("/") != 1:
            found.append(f"--wandb {arguments.wandb}: expected ENTITY/PROJECT")
        if arguments.watch:
            found.append("--watch with --wandb: only folders can be watched")
    if arguments.example and (arguments.folders or arguments.wandb or arguments.watch):
        found.append("--example: expected neither folders nor --wandb nor --watch beside it")
    if arguments.out.exists() and not arguments.out.is_dir():
        found.append(f"--out {arguments.out}: that is a file; expected a folder, or a name for one")
    return found


def _all_figures() -> tuple[str, ...]:
    """The names of all figures, a user's own included. Brings matplotlib, which --help does without."""
    from analysis.figures.kinds import KINDS

    return tuple(kind.name for kind in KINDS)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    arguments = parser().parse_args(argv)
    try:
        if problems := problems_of(arguments):
            raise AnalysisError(problems)
        # Loads rliable and matplotlib: help and a mistyped option are answered before that.
        from analysis.example import unpacked
        from analysis.study import analyse
        from analysis.watch import follow

        if arguments.figures == "all":
            arguments.figures = None
        if arguments.example:
            with unpacked() as folder:
                arguments.folders = [folder]
                analyse(arguments)
        elif arguments.watch:
            follow(lambda: analyse(arguments), arguments.folders or [Path("outputs")])
        else:
            analyse(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except AnalysisError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error}; nothing more was written")


if __name__ == "__main__":
    main()
