import math

from analysis.colors import PALETTE
from analysis.page.data import colors, page_data
from tests.analysis.page.pages import curves, page, row, samples


def test_prompts_and_steps_that_runs_share_stand_there_once() -> None:
    ours = [row("p", "l", "a", 1.0, 0.0), row("q", "l", "b", 0.0, 0.0), row("p", "l", "c", 0.0, 1.0)]
    theirs = [row("q", "l", "d", 1 / 3, 0.0), row("p", "other", "e", None, None), row("p", "l", "f", math.nan, 1e9)]
    data = page_data(
        page(
            samples=[samples("A", 0, ours), samples("B", 0, [{**r, "outcome": 1} for r in theirs[:1]] + theirs[1:2])],
            curves=[
                curves("A", 0, loss=[(0, 1.0), (1, math.nan), (2, math.inf)], win_rate=[(2, 0.123456789)]),
                curves("C", 0, loss=[(0, 3.0), (1, 4.0), (2, 5.0)], kl=[]),
                curves("D", 0, loss=[]),
            ],
        )
    )
    assert data["prompts"] == [["p", "l"], ["q", "l"], ["p", "l"], ["p", "other"]]
    assert data["samples"][0]["rows"] == [[0, "a", 1, 0, "win"], [1, "b", 0, 0, "tie"], [2, "c", 0, 1, "loss"]]
    assert data["samples"][1]["rows"] == [[1, "d", 0.333333, 0, "win"], [3, "e", None, None, "not judged"]]
    assert data["steps"] == [[0, 1, 2], [2]]
    assert [run["series"] for run in data["curves"]] == [
        {"loss": (0, [1, None, None]), "win_rate": (1, [0.123457])},
        {"loss": (0, [3, 4, 5])},
    ]
    assert page_data(page(samples=[samples("A", 0, theirs[2:])]))["samples"][0]["rows"][0][2:4] == [None, 1e9]


def test_a_method_has_one_color() -> None:
    assert colors(["A", "B", "A", "C"], {}) == {"A": PALETTE[0], "B": PALETTE[1], "C": PALETTE[2]}
    assert colors(["A", "B"], {"B": PALETTE[0].upper()}) == {"A": PALETTE[1], "B": PALETTE[0].upper()}
    many = colors([str(i) for i in range(20)], {})
    assert len(many) == 20 and set(many.values()) == set(PALETTE)
