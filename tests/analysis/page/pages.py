"""Pages that tests write."""

from dataclasses import replace
from typing import Any

from analysis.page.contents import Curves, Page, PageFigure, PageStudy, PageTable, PairSet, Place, RunFacts, SampleSet
from analysis.sample_summary import summary_of

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
    return SampleSet(place(method, seed, task), rows, left_out, summary_of(rows))


def place(method: str, seed: int, task: str = "tldr", study: int = 1) -> Place:
    """The place of a DPO run."""
    return Place(f"{method},seed={seed},task={task}", task, "dpo", method, seed, study)


def pair(prompt: str, chosen: str, rejected: str, **changes: Any) -> dict[str, Any]:
    """An annotated pair as the page takes it."""
    usual = {
        "round": 0,
        "tie": False,
        "scores": [2.0, 1.0],
        "before": 0.0,
        "after": 0.5,
        "logps": [-2.0, -1.0, -1.5, -1.0],
    }
    return {"prompt": prompt, "texts": [chosen, rejected], **usual, **changes}


def pairs(method: str, seed: int, rows: list[dict[str, Any]], left_out: int = 0, task: str = "tldr") -> PairSet:
    """Pairs of a DPO run."""
    return PairSet(place(method, seed, task), rows, left_out, "What a margin is.")


def facts(method: str, seed: int, task: str = "tldr", state: str = "finished") -> RunFacts:
    """How a DPO run was made."""
    changes = [("loss.beta", "0.3", "0.1")] if seed else []
    return RunFacts(place(method, seed, task), state, f"python -m src.train seed={seed}", [("Commit", "abc")], changes)


def curves(method: str, seed: int, task: str = "tldr", **series: list[tuple[int, float]]) -> Curves:
    """Curves of a DPO run."""
    return Curves(place(method, seed, task), series)


def page(**parts: Any) -> Page:
    """A page of one study that is empty but for the parts given."""
    study = PageStudy("Study", [], parts.pop("figures", []), parts.pop("tables", []))
    empty: dict[str, Any] = {"summary": [], "curves": [], "samples": [], "pairs": [], "runs": []}
    return Page(**{"title": "Report", "studies": [study], **empty, **parts})


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
        pairs=[pairs(text, 0, [pair(text, text, f"{text}!")], 0, text) for text in HOSTILE],
        runs=[RunFacts(place(text, 0, text), text, text, [(text, text)], [(text, text, text)]) for text in HOSTILE],
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
        pairs=[pairs("A", 0, made_pairs(), 9), pairs("A", 1, made_pairs()[:2])],
        runs=[facts("A", 0), facts("A", 1), facts("B", 0, state="unfinished: step 3 of 64")],
    )


def made_pairs() -> list[dict[str, Any]]:
    """Six pairs of two rounds: one tie, one without log-probs after training, one that ends on the wrong side."""
    changes: list[dict[str, Any]] = [
        {}, {"after": -0.25}, {"tie": True, "scores": [1.0, 1.0]}, {"round": 1, "logps": [-1.0, -2.0, -1.0, -2.5]},
        {"round": 1, "after": None, "logps": [-1.0, -3.0, None, None]}, {"round": 1, "before": 0.75},
    ]  # fmt: skip
    return [pair(f"Question {i}?", f"A good answer {i}", f"A bad answer {i}", **one) for i, one in enumerate(changes)]


def two_studies() -> Page:
    """A page of two studies that have a run of the same name, and an unfinished run."""
    first = small_page()
    [study] = first.studies
    other = [replace(samples("A", 0, outcome_rows("B")), place=place("A", 0, study=2))]
    runs = [
        *first.runs,
        replace(facts("A", 0), place=place("A", 0, study=2)),
        replace(facts("A", 7), place=place("A", 7, study=3)),
    ]
    return replace(
        first, studies=[replace(study, title="Study 1", summary=["The first."]), replace(study, title="Study 2")],
        samples=[*first.samples, *other], runs=runs,
    )  # fmt: skip
