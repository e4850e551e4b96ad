from io import StringIO

import pytest
from rich.console import Console

from analysis import progress
from analysis.progress import bar


@pytest.mark.parametrize(
    ("patience", "terminal", "shown"), [(0.0, True, True), (3600.0, True, False), (0.0, False, False)]
)
def test_a_bar_is_shown_in_a_terminal_once_patience_ends(
    monkeypatch: pytest.MonkeyPatch, patience: float, terminal: bool, shown: bool
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", patience)
    written = StringIO()
    with bar(Console(file=written, force_terminal=terminal, width=120), 2) as made:
        for name in ("fig1", "fig3"):
            made.part(name)
            made.repeated(50_000)
            made.done()
    assert ("fig1" in written.getvalue() and "50,000 repetitions" in written.getvalue()) is shown
    assert made.repetitions == 100_000 and made.progress.finished
    assert not made.progress.live.is_started
