"""`report.html`: figures, tables, training curves and samples in one file that opens from disk, without a network.

The static part is `page.html`, rendered with autoescape. Curves and samples go in as JSON, which `page.js` draws with
`textContent` alone, and a content security policy allows no script but that one: text of a model never becomes markup.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent

# Okabe and Ito's colours for every kind of sight, without the yellow and the black that vanish on paper or screen.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a68b3", "#8c6d31")

OUTCOMES = {1.0: "win", 0.5: "tie", 0.0: "loss", None: "not judged"}


@dataclass(frozen=True)
class PageFigure:
    """A figure.

    Args:
        name: its place in the page, `#figure-name`; letters, digits, `_` and `-`.
        title: heading.
        svg: a whole SVG document.
        caption: what it shows and of which runs.
    """

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class PageTable:
    """A table of plain text.

    Args:
        name: its place in the page, `#table-name`; letters, digits, `_` and `-`.
        title: heading.
        header: a name a column.
        rows: as many cells as the header has; `**...**` is bold.
        caption: what it shows and of which runs.
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Curves:
    """What one run measured during training.

    Args:
        run: its name, `run_id`.
        task, loss, method, seed: what it is.
        series: metric -> (step, value), steps in order. A value that is not finite is a gap.
    """

    run: str
    task: str
    loss: str
    method: str
    seed: int
    series: dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class SampleSet:
    """Responses of one run's final evaluation.

    Args:
        run: its name, `run_id`.
        task, loss, method, seed: what it is.
        rows: of `samples.jsonl`: `prompt`, `label`, `response`, their scores, `outcome`.
        left_out: how many rows the file has beyond these.
    """

    run: str
    task: str
    loss: str
    method: str
    seed: int
    rows: list[dict[str, Any]]
    left_out: int


@dataclass(frozen=True)
class Page:
    """All that the page shows, in the order in which it shows it.

    Args:
        title: heading.
        summary: sentences on top.
        figures, tables, curves, samples: the sections; an empty one says so.
        colors: method -> `#rrggbb` of its curves, so that they match the figures; other methods get a colour.
    """

    title: str
    summary: list[str]
    figures: list[PageFigure]
    tables: list[PageTable]
    curves: list[Curves]
    samples: list[SampleSet]
    colors: dict[str, str] = field(default_factory=dict)


def write_page(page: Page, path: Path) -> None:
    """Writes the page, whole or not at all; the same page gives the same bytes.

    Raises:
        ValueError: a name twice or unfit for a link, a row of another length than its header, a figure that is no
            SVG, a sample without its texts: all of them in one message.
        OSError: the file cannot be written.
    """
    if found := problems(page):
        raise ValueError("\n".join([f"{path.name} was not written:", *(f"  - {problem}" for problem in found)]))
    html = render(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.write_bytes(html.encode())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def problems(page: Page) -> list[str]:
    """What is wrong with a page, a sentence each."""
    found = []
    for kind, parts in (("figure", page.figures), ("table", page.tables)):
        names = [part.name for part in parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        found += [f"{kind} {name!r}: the name is there twice" for name in twice]
        found += [
            f"{kind} {name!r}: a name has letters, digits, _ and - only"
            for name in names
            if not re.fullmatch(r"[\w-]+", name, re.ASCII)
        ]
    for figure in page.figures:
        try:
            inline_svg(figure.svg, "")
        except ValueError as error:
            found.append(f"figure {figure.name!r}: {error}")
    for table in page.tables:
        found += [
            f"table {table.name!r}, row {number}: got {len(row)} cells, expected {len(table.header)}"
            for number, row in enumerate(table.rows, 1)
            if len(row) != len(table.header)
        ]
    for samples in page.samples:
        found += [
            f"samples of {samples.run!r}, row {number}: {problem}"
            for number, row in enumerate(samples.rows, 1)
            if (problem := row_problem(row))
        ][:1]
    found += [
        f"colour of {method!r}: got {color!r}, expected #rrggbb"
        for method, color in page.colors.items()
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", color)
    ]
    return found


def row_problem(row: Mapping[str, Any]) -> str:
    """What keeps a row of `samples.jsonl` from being shown; nothing is the empty string."""
    for key in ("prompt", "label", "response"):
        if not isinstance(row.get(key), str):
            return f"got {row.get(key)!r} as `{key}`, expected a text"
    for key in ("response_score", "label_score"):
        if not isinstance(row.get(key), int | float | None):
            return f"got {row[key]!r} as `{key}`, expected a number"
    if row.get("outcome") not in tuple(OUTCOMES):  # of a dict, a list as outcome would be a TypeError
        return f"got {row['outcome']!r} as `outcome`, expected 1, 0.5, 0 or null"
    return ""


def render(page: Page) -> str:
    """The page as HTML."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    environment.filters["cell"] = cell
    return environment.from_string((HERE / "page.html").read_text(encoding="utf-8")).render(
        page=page,
        figures=[(figure, Markup(inline_svg(figure.svg, f"svg{i}-"))) for i, figure in enumerate(page.figures)],
        tables=[(table, numeric_columns(table)) for table in page.tables],
        has_curves=any(values for run in page.curves for values in run.series.values()),
        has_samples=any(samples.rows for samples in page.samples),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(script_json(page_data(page))),
    )


# Text ----------------------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Text with what cannot be seen made visible: control characters as their pictures, half surrogates as U+FFFD."""
    return text.replace("\r\n", "\n").translate(_PICTURES)


_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000)], 0xFFFD),
}


def cell(text: str) -> str:
    """A cell of a table as HTML: bold between two pairs of asterisks."""
    bold = len(text) > 4 and text.startswith("**") and text.endswith("**")
    return Markup("<strong>{}</strong>").format(shown(text[2:-2])) if bold else Markup.escape(shown(text))


def numeric_columns(table: PageTable) -> list[bool]:
    """Which columns hold numbers alone (dashes and nothing aside), to be set flush right."""
    columns = ([row[i].strip("* ") for row in table.rows] for i in range(len(table.header)))
    return [
        any(texts := [text for text in column if text not in ("", "-", "–", "—")])
        and all(re.match(r"[-+−±<>≤≥]?\s*\.?\d", text) for text in texts)
        for column in columns
    ]


def script_json(data: Mapping[str, Any]) -> str:
    """JSON that stands in a script element: no character in it can end the element or the line.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


# Data of the script --------------------------------------------------------------------------------------------------


def page_data(page: Page) -> dict[str, Any]:
    """What `page.js` reads. Prompts and steps, which runs share, stand there once."""
    steps: dict[tuple[int, ...], int] = {}
    prompts: dict[tuple[str, str, int], int] = {}
    runs: list[Curves | SampleSet] = [*page.curves, *page.samples]
    return {
        "colors": colors([run.method for run in runs], page.colors),
        "curves": [
            {**identity(run), "series": packed_series(run, steps)} for run in page.curves if any(run.series.values())
        ],
        "samples": [
            {**identity(run), "left_out": run.left_out, "rows": packed_rows(run, prompts)}
            for run in page.samples
            if run.rows
        ],
        "steps": [list(key) for key in steps],
        "prompts": [[shown(prompt), shown(label)] for prompt, label, _ in prompts],
    }


def identity(run: Curves | SampleSet) -> dict[str, Any]:
    """What a run is."""
    return {
        "run": shown(run.run),
        "task": shown(run.task),
        "loss": shown(run.loss),
        "method": shown(run.method),
        "seed": run.seed,
    }


def colors(methods: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """A colour a method: the given one, or the next of the palette that nobody has."""
    free = cycle([color for color in PALETTE if color not in {c.lower() for c in given.values()}] or PALETTE)
    return {shown(method): given.get(method) or next(free) for method in dict.fromkeys(methods)}


def packed_series(run: Curves, steps: dict[tuple[int, ...], int]) -> dict[str, tuple[int, list[float | None]]]:
    """Metric -> (which list of steps, values); a new list of steps is added to `steps`."""
    return {
        shown(metric): (
            steps.setdefault(tuple(step for step, _ in points), len(steps)),
            [rounded(value) for _, value in points],
        )
        for metric, points in run.series.items()
        if points
    }


def packed_rows(run: SampleSet, prompts: dict[tuple[str, str, int], int]) -> list[list[Any]]:
    """Rows as [which prompt, response, its score, the label's score, outcome]; new prompts are added to `prompts`.

    Two runs' rows belong together where prompt and label are equal. The n-th occurrence of a prompt within a run is
    a prompt of its own, as nothing else tells two equal ones apart.
    """
    seen: dict[tuple[str, str], int] = {}
    rows = []
    for row in run.rows:
        texts = (row["prompt"], row["label"])
        seen[texts] = seen.get(texts, 0) + 1
        rows.append(
            [
                prompts.setdefault((*texts, seen[texts]), len(prompts)),
                shown(row["response"]),
                rounded(row.get("response_score")),
                rounded(row.get("label_score")),
                OUTCOMES[row.get("outcome")],
            ]
        )
    return rows


def rounded(value: float | None) -> float | None:
    """Six digits, more than a screen shows; what is not finite is nothing."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


# Figures -------------------------------------------------------------------------------------------------------------

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def inline_svg(document: str, prefix: str) -> str:
    """An SVG document as an element of an HTML page.

    Ids get the prefix, so that two figures' clip paths and markers stay apart; style sheets, which would hold for the
    whole page, are held to the figure; scripts, event handlers, links out, metadata and foreign markup are dropped.

    Raises:
        ValueError: it is no SVG.
    """
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise ValueError(f"no SVG: {error}") from None
    if root.tag != f"{_SVG}svg":
        raise ValueError(f"no SVG: the root element is {root.tag!r}")
    for parent in list(root.iter()):
        for child in list(parent):
            if not _is_drawing(child.tag):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        attributes = {name.removeprefix(_XLINK): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(
            {name: _prefixed(name, value, prefix) for name, value in attributes.items() if _is_safe(name, value)}
        )
        if element.tag == "style":
            element.text = f"#{prefix}svg {{ {_prefixed('style', element.text or '', prefix)} }}"
    root.set("id", f"{prefix}svg")
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}caption")
    return ElementTree.tostring(root, encoding="unicode")


def _is_drawing(tag: str) -> bool:
    dropped = {"script", "foreignObject", "metadata", "animate", "set", "animateTransform", "animateMotion"}
    return tag.startswith(_SVG) and tag.removeprefix(_SVG) not in dropped


def _is_safe(name: str, value: str) -> bool:
    if name == "href":
        return value.startswith(("#", "data:image/png", "data:image/jpeg"))
    return not (name.startswith(("{", "on")))


def _prefixed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(\s*(['\"]?)#", rf"url(\g<1>#{prefix}", value)
