"""Pages that tests write."""

from typing import Any

from analysis.page.contents import Curves, Page, PageFigure, PageTable, SampleSet

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="400pt" height="200pt"
     viewBox="0 0 400 200" onload="hacked = 1">
 <metadata><a xmlns="urn:other">made by</a></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round} .x{fill: url(#grad)}</style>
 <clipPath id="clip"><rect width="90" height="90"/></clipPath><path id="mark" d="M0 0L9 9"/></defs>
 <script>hacked = 1</script>
 <g id="axes" clip-path="url(#clip)" style="fill: url('#grad')"><use xlink:href="#mark" x="3"/></g>
 <a href="https://example.org/"><text x="9" y="20" onclick="hacked = 1">win &lt;b&gt; rate</text></a>
 <image xlink:href="https://example.org/x.png" width="9" height="9"/>
 <foreignObject><p xmlns="http://www.w3.org/1999/xhtml">html</p></foreignObject>
</svg>
"""

HOSTILE = [
    "<script>hacked = 1</script>",
    "</script><script>hacked = 1</script>",
    '</textarea></style></title><img src=x onerror="hacked = 1">',
    "<!--<script>",
    "]]><svg onload='hacked = 1'>",
    "& &amp; &lt;b&gt; \"double\" 'single' `back` ${hacked = 1} {{ 7 * 7 }} {% raw %}",
    "javascript:hacked=1",
    "\u2028line\u2029paragraph\ufeff",
    "emoji 👩‍👩‍👧 🇩🇪 e\u0301",
    "שלום עולם (right to left) \u202eoverride",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f next line \x85",
    "half \ud83d surrogate",
    "tab\there, line\nbreak",
    "",
    "x" * 3000,
]


def row(prompt: str, label: str, response: str, score: float | None, label_score: float | None) -> dict[str, Any]:
    """A row of samples.jsonl."""
    outcome = None if score is None or label_score is None else (score > label_score) + (score == label_score) / 2
    return {
        "prompt": prompt,
        "label": label,
        "response": response,
        "response_score": score,
        "label_score": label_score,
        "outcome": outcome,
    }


def samples(method: str, seed: int, rows: list[dict[str, Any]], left_out: int = 0, task: str = "tldr") -> SampleSet:
    """Samples of a DPO run."""
    return SampleSet(f"{method},seed={seed},task={task}", task, "dpo", method, seed, rows, left_out)


def curves(method: str, seed: int, task: str = "tldr", **series: list[tuple[int, float]]) -> Curves:
    """Curves of a DPO run."""
    return Curves(f"{method},seed={seed},task={task}", task, "dpo", method, seed, series)


def page(**parts: Any) -> Page:
    """A page that is empty but for the parts given."""
    empty: dict[str, Any] = {"summary": [], "figures": [], "tables": [], "curves": [], "samples": []}
    return Page(**{"title": "Report", **empty, **parts})


def hostile_page() -> Page:
    """A page that has every hostile text in every place."""
    one, other = [
        [row(text, text, f"{text}{end}", 1.0, 0.0) for text in HOSTILE] for end in ("", " again")
    ]  # fmt: skip
    return page(
        title="".join(HOSTILE),
        summary=HOSTILE,
        figures=[PageFigure(f"fig{i}", text, SVG, text) for i, text in enumerate(HOSTILE)],
        tables=[PageTable("t", HOSTILE[0], HOSTILE, [HOSTILE, [f"**{text}**" for text in HOSTILE]], HOSTILE[1])],
        curves=[curves(text, 0, text, **{text: [(0, 1.0), (1, 2.0)]}) for text in HOSTILE],
        samples=[samples(HOSTILE[0], 0, one, 3, HOSTILE[1]), samples(HOSTILE[2], 0, other, 0, HOSTILE[1])],
    )


def outcome_rows(method: str) -> list[dict[str, Any]]:
    """Twelve prompts: A wins 8, ties 2, loses 2; B wins 3, ties 3, loses 6, in the opposite order."""
    scores = [2.0] * 8 + [1.0] * 2 + [0.0] * 2 if method == "A" else [0.0] * 6 + [1.0] * 3 + [2.0] * 3
    rows = [
        row(f"Prompt {i}?", f"label {i}", f"{method} says {'Öl (a+b)' if i % 3 == 0 else 'water'} {i}", score, 1.0)
        for i, score in enumerate(scores)
    ]
    return rows if method == "A" else rows[::-1]


def small_page() -> Page:
    """Two tasks, two methods, two seeds of A."""
    return page(
        summary=["Two methods."],
        figures=[PageFigure("fig1", "A figure", SVG, "A caption.")],
        tables=[
            PageTable("main", "A table", ["method", "win rate"], [["A", "**70.0**"], ["B", "40.0"]], "Of the table.")
        ],
        curves=[
            curves("A", 0, loss=[(0, 1.0), (1, 0.5), (2, 0.25)], win_rate=[(2, 0.7)]),
            curves("A", 1, loss=[(0, 2.0), (1, 1.5), (2, 0.75)]),
            curves("B", 0, loss=[(0, 3.0), (1, float("nan")), (2, 2.5)]),
            curves("B", 0, "helpfulness", kl=[(0, 0.0), (10, 9.0)]),
        ],
        samples=[
            samples("A", 0, outcome_rows("A"), 88),
            samples("A", 1, outcome_rows("A")[:5]),
            samples("B", 0, outcome_rows("B")),
            samples("B", 0, [row("Another?", "l", "r", None, None)], task="helpfulness"),
        ],
    )
