"""python -m src.sft: makes the SFT policy once, shows its responses, and refuses what no run would take."""

from pathlib import Path

import pytest

from src.sft import main
from tests.commands import called, smoke


def test_the_policy_is_made_once_and_shown(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = (*smoke(tmp_path / "cache"), "model.sft.steps=2")
    assert called(main, *settings) is None
    first = capsys.readouterr().out
    assert called(main, *settings) is None
    again = capsys.readouterr().out
    assert "SFT: 2 steps" in first and "SFT: 2 steps" not in again
    assert f"{tmp_path / 'cache'}" in "".join(again.split("\n"))
    for printed in (first, again):
        assert "on validation" in printed and "SFT policy" in printed and "label" in printed
    # The responses are those of one policy and one random stream.
    assert first.split("on validation")[1] == again.split("on validation")[1]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("experimnt=smoke", "did you mean experiment?"),
        ("seed=0,1", "seed=0,1: one value only"),
        ("-m", "-m: this command takes key=value only"),
        ("hydra.run.dir=x", "this command is not run by Hydra"),
    ],
)
def test_what_no_run_would_take_is_refused(argument: str, expected: str) -> None:
    said = str(called(main, argument))
    assert said.startswith("error: 1 problem; nothing was started or written") and expected in said
