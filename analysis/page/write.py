"""Renders a page and writes it."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis.page.contents import Page, PageStudy
from analysis.page.data import page_data
from analysis.page.problems import problems
from analysis.page.svg import inline_svg, is_wide
from analysis.page.text import cell, numeric_columns, script_json, shown
from analysis.whole_files import write_whole

HERE = Path(__file__).parent
# In the order of the page's one script: each part uses what the parts before it define.
SCRIPT = (
    "elements", "theme", "pager", "curves", "chart", "differences", "histograms", "samples", "pairs", "runs", "start",
)  # fmt: skip


def write_page(page: Page, path: Path) -> None:
    """Writes the page, whole or not at all; the same page gives the same bytes.

    Raises:
        ValueError: with everything that `problems` finds.
        OSError: the file cannot be written.
    """
    if found := problems(page):
        raise ValueError("\n".join([f"{path.name} was not written:", *(f"  - {problem}" for problem in found)]))
    write_whole(path, render(page).encode())


def render(page: Page) -> str:
    """The page as HTML."""
    script = "".join((HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPT)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    environment.filters["cell"] = cell
    return environment.from_string((HERE / "page.html").read_text(encoding="utf-8")).render(
        page=page,
        studies=[_inlined(study, number) for number, study in enumerate(page.studies)],
        has_curves=any(values for run in page.curves for values in run.series.values()),
        has_samples=any(samples.rows for samples in page.samples),
        has_pairs=any(pairs.rows for pairs in page.pairs),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(script_json(page_data(page))),
    )


def _inlined(study: PageStudy, number: int) -> dict[str, Any]:
    """A study as the template takes it; ids of all but the first have its number in front."""
    prefix = f"study{number + 1}-" if number else ""
    return {
        "prefix": prefix,
        "title": study.title,
        "summary": study.summary,
        "figures": [
            (one, Markup(inline_svg(one.svg, f"{prefix}svg{i}-")), is_wide(one.svg))
            for i, one in enumerate(study.figures)
        ],
        "tables": [(table, numeric_columns(table)) for table in study.tables],
    }
