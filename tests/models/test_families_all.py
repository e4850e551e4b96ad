"""Every causal language model class of transformers, made tiny, is exact or refused, as docs/models.md says."""

import pytest

from tests.gauntlet import Outcome, line_of, outcome, quietly, rows_on_page
from tests.shrunk import families, tiny

# One of each mechanism: a window in a nested configuration, states of linear attention, latent attention, positions
# that begin behind the padding token. The others are tried every night.
MECHANISMS = ("gemma3", "mamba", "deepseek_v3", "roberta")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quietly()


def cells(row: str) -> list[str]:
    """The text of a line's cells."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


@pytest.mark.slow
@pytest.mark.parametrize("name", MECHANISMS)
def test_a_model_of_each_mechanism_scores_and_samples_as_the_page_says(name: str) -> None:
    found = outcome(name, adapters=False)
    assert cells(found.row())[:3] == cells(rows_on_page()[name])[:3]


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(families()))
def test_a_model_of_every_type_does_what_the_page_says(name: str) -> None:
    assert outcome(name).row() == rows_on_page()[name]


def test_the_page_has_known_types_and_none_is_wrong() -> None:
    rows = rows_on_page()
    assert set(rows) <= set(families()) and list(rows) == sorted(rows)
    made = [cells(row)[1] for row in rows.values()]
    assert set(made) <= {"shared prompts", "shared within the window", "plain rows", "refused", "not made"}
    assert all(cells(row)[4] for row in rows.values() if cells(row)[1] in ("refused", "not made"))


def test_a_wrong_number_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that nobody finds: the comparison at load sees it, and without that comparison the gauntlet does."""
    monkeypatch.setattr("src.inference.scorer.shortest_window", lambda _: None)
    assert outcome("mistral", adapters=False).scoring == "plain rows"
    monkeypatch.setattr("src.inference.scorer._shares", lambda *_: True)
    with pytest.raises(AssertionError, match="scored: off by"):
        outcome("mistral", adapters=False)


def test_rows_of_the_table_are_lines() -> None:
    row = Outcome("llama", "refused", note=line_of(ValueError("a | b\n`c`; d"))).row()
    assert cells(row) == ["`llama`", "refused", "", "", "a  b c"]
    assert "\n" not in row


def test_a_type_that_cannot_be_made_says_why() -> None:
    with pytest.raises(ValueError, match="parameters|Error"):
        tiny("llama", hidden_size=10**6)
