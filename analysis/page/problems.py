"""What keeps a page from being written."""

import re
from collections.abc import Mapping
from typing import Any

from analysis.page.contents import Page, PageStudy
from analysis.page.data import OUTCOMES
from analysis.page.svg import inline_svg


def problems(page: Page) -> list[str]:
    """Everything that is wrong with a page, one sentence each; of each sample set only the first wrong row."""
    found = [problem for study in page.studies for problem in study_problems(study)]
    for samples in page.samples:
        found += [
            f"samples of {samples.place.run!r}, row {number}: {problem}"
            for number, row in enumerate(samples.rows, 1)
            if (problem := row_problem(row))
        ][:1]
    found += [
        f"color of {method!r}: got {color!r}, expected #rrggbb"
        for method, color in page.colors.items()
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", color)
    ]
    return found


def study_problems(study: PageStudy) -> list[str]:
    """What is wrong with the figures and tables of a study."""
    found = []
    for kind, parts in (("figure", study.figures), ("table", study.tables)):
        names = [part.name for part in parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        found += [f"{kind} {name!r}: two {kind}s have this name" for name in twice]
        found += [
            f"{kind} {name!r}: a name has letters, digits, _ and - only"
            for name in names
            if not re.fullmatch(r"[\w-]+", name, re.ASCII)
        ]
    for figure in study.figures:
        try:
            inline_svg(figure.svg, "")
        except ValueError as error:
            found.append(f"figure {figure.name!r}: {error}")
    for table in study.tables:
        found += [
            f"table {table.name!r}, row {number}: got {len(row)} cells, expected {len(table.header)}"
            for number, row in enumerate(table.rows, 1)
            if len(row) != len(table.header)
        ]
    return found


def row_problem(row: Mapping[str, Any]) -> str:
    """Why a row of `samples.jsonl` cannot be shown; empty if it can."""
    for key in ("prompt", "label", "response"):
        if not isinstance(row.get(key), str):
            return f"got {row.get(key)!r} as `{key}`, expected a text"
    for key in ("response_score", "label_score"):
        if not isinstance(row.get(key), int | float | None):
            return f"got {row[key]!r} as `{key}`, expected a number"
    if row.get("outcome") not in tuple(OUTCOMES):  # a tuple, because a list as outcome cannot be looked up in a dict
        return f"got {row['outcome']!r} as `outcome`, expected 1, 0.5, 0 or null"
    return ""
