"""All figures: every `Kind` in a module of this folder, in the order of the page."""

import pkgutil
from importlib import import_module

from analysis import figures
from analysis.figures.figure import Kind
from analysis.names import FIGURES

_FOUND = {
    kind.name: kind
    for module in pkgutil.iter_modules(figures.__path__, "analysis.figures.")
    if module.name != __name__
    for kind in vars(import_module(module.name)).values()
    if isinstance(kind, Kind)
}


def _place(kind: Kind) -> tuple[int, str]:
    """Figures that `FIGURES` does not order come last, by name."""
    return FIGURES.index(kind.name) if kind.name in FIGURES else len(FIGURES), kind.name


KINDS = tuple(sorted(_FOUND.values(), key=_place))
