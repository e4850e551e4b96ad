from collections.abc import Callable

import pytest

from src.collection.drawn import Drawn
from src.loop import Experiment
from src.models.template import Template
from src.oracles.comparer import Comparer
from src.records import Response
from src.runtime.report import Report
from src.storage.rows import read_rows

END = 1
SAID, EMPTY, CUT = Response((5, END), "a"), Response((END,), ""), Response((5, 6), "ab")


def drawn(*responses: Response) -> Drawn:
    counts = Drawn()
    counts.add(responses, {END})
    return counts


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        ([SAID] * 20, None),
        ([EMPTY] * 7, None),
        ([EMPTY] * 8, "8 of the policy's first 8 responses are empty; a likely cause is model.template=plain"),
        ([EMPTY] * 10 + [SAID] * 10, "10 of the policy's first 20 responses are empty"),
        ([EMPTY] * 9 + [SAID] * 11, None),
        ([CUT] * 19 + [SAID], "19 of the policy's first 20 responses run to task.max_new_tokens without an end"),
        ([CUT] * 18 + [SAID] * 2, None),
        ([Response((), "")] * 8, "are empty"),
    ],
)
def test_what_is_said_of_responses(responses: list[Response], said: str | None) -> None:
    counts = drawn(*responses)
    text = counts.oddity("plain")
    assert (text is None) == (said is None) and (said or "") in (text or "")
    assert counts.oddity("plain") is None  # once


def test_the_likely_cause_is_the_template() -> None:
    assert "instruction-tuned model needs model.template=chat" in drawn(*[EMPTY] * 8).oddity("plain")
    assert "model.template=chat (a base model needs model.template=plain)" in drawn(*[CUT] * 8).oddity("chat")


@pytest.mark.slow
def test_a_policy_that_says_nothing_is_warned_of_before_anybody_is_asked(
    experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    ask = Comparer.verdicts
    monkeypatch.setattr(Report, "warn", lambda self, text: happened.append(text))
    monkeypatch.setattr(Comparer, "verdicts", lambda *arguments: happened.append("asked") or ask(*arguments))
    monkeypatch.setattr(Template, "text", lambda self, ids: "something" if ids[0] % 3 == 0 else "")
    run = experiment("F=2", "evaluate.every=0")
    run.run()
    [said] = [text for text in happened if "are empty" in text]
    assert said.startswith("round 0: ") and "model.template=plain" in said
    assert happened.index(said) < happened.index("asked")
    row = read_rows(run.folder.path / "results.jsonl")[-1]
    # Of two different texts one is empty here.
    assert row["empty_pairs"] == row["annotated_pairs"] > 0
