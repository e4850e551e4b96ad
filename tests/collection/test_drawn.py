import pytest

from src.collection.drawn import Drawn
from src.records import Response

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
