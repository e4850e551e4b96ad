"""The commands that compute nothing, measured against each other."""

import sys
from pathlib import Path

import pytest

from benchmarks import answers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("repeats=0", "repeats=0: expected a whole number"),
        ("times=3", "times=3: no such key; there are repeats, against"),
        ("against=/nowhere", "against=/nowhere: no checkout of this project there"),
    ],
)
def test_a_wrong_key_is_refused(argument: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["answers", argument])
    with pytest.raises(SystemExit, match=message):
        answers.main()


def test_every_answer_is_measured_in_every_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed: list[tuple[Path, tuple[str, ...]]] = []

    def seconds(checkout: Path, folder: Path, arguments: tuple[str, ...]) -> float:
        typed.append((checkout, tuple(arguments)))
        (folder / "outputs" / "run" / "policy").mkdir(parents=True, exist_ok=True)
        return float(len(typed))

    monkeypatch.setattr(answers, "processor_seconds", seconds)
    measured = answers.measured([ROOT, tmp_path], 3)
    assert set(measured) == set(answers.ANSWERS)
    assert all([len(repeats) for repeats in by_checkout] == [3, 3] for by_checkout in measured.values())
    # In turn: the checkouts take the times one after the other.
    assert all(there == here + 1 for pair in measured.values() for here, there in zip(*pair, strict=True))


@pytest.mark.nightly
@pytest.mark.slow
def test_the_seconds_are_those_of_the_command(tmp_path: Path) -> None:
    assert answers.processor_seconds(ROOT, tmp_path, ["--help"]) > 0.05
    assert list(tmp_path.iterdir()) == []
