"""What a person reads; tests/test_security.py has text that would control a terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from src.runtime import processes
from src.runtime.report import Report, percent

SFT: dict[str, Any] = {
    "win_rate": 0.359, "win_rate_length_controlled": None, "response_tokens_mean": 17.7, "label_tokens_mean": 48.5,
    "distinct_3": 0.725, "kl_sft": 0.0, "n_prompts": 64, "split": "validation", "n_invalid": 0, "oracle_calls": 0,
    "oracle_cached": 0, "oracle_tokens": 0, "judge_calls": 0, "judge_cached": 0, "judge_tokens": 0,
    "judge_is_oracle": False, "loss": "dpo", "reference": "behavior", "F": 4,
}  # fmt: skip


def reporting(terminal: bool = False) -> tuple[Report, io.StringIO]:
    out = io.StringIO()
    return Report(Console(file=out, soft_wrap=True, width=120, force_terminal=terminal)), out


def test_the_same_warning_is_printed_once() -> None:
    report, out = reporting()
    for text in ("slow", "slow", "[bold]slower"):
        report.warn(text)
    assert out.getvalue() == "warning: slow\nwarning: [bold]slower\n"


def test_a_stage_is_a_line_without_a_terminal_if_it_is_listed() -> None:
    report, out = reporting()
    with report.stage("sampling", 3) as tick:
        tick(2, note="loss 1.0")
    with report.stage("embedding", 3, listed=False):
        pass
    assert out.getvalue() == "sampling\n"


def test_a_stage_and_the_run_have_bars_in_a_terminal() -> None:
    report, out = reporting(terminal=True)
    with report.live():
        report.start(4)
        report.step(0, 1, {"loss": 0.5})
        with report.stage("sampling", 3) as tick:
            tick(2, note="a note")
            report._progress.refresh()
    said = out.getvalue()
    assert all(text in said for text in ("learning", "2/4", "round 0  loss 0.500", "sampling", "2/3", "a note"))


def test_only_the_main_process_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for rank, expected in ((0, "said\n"), (1, "")):
        monkeypatch.setattr(processes.Group, "rank", rank)
        Report().say("said")
        assert capsys.readouterr().out == expected


def test_the_table_of_results_and_what_is_said_below_it() -> None:
    report, out = reporting()
    final = SFT | {
        "win_rate": 0.5, "win_rate_length_controlled": 0.4594, "kl_sft": 3.14159, "n_invalid": 2, "judge_calls": 5,
        "judge_tokens": 70, "judge_cached": 3, "judge_is_oracle": True,
    }  # fmt: skip
    report.result(SFT, final, Path("run"))
    said = " ".join(out.getvalue().split())
    assert "64 prompts of validation, against the human text" in said
    for cells in (
        ("SFT", "35.9%", "-", "17.7 (48.5)", "0.725", "0.00"),
        ("dpo, reference behavior, F=4", "50.0%", "45.9%", "17.7 (48.5)", "0.725", "3.14"),
    ):
        assert any(all(cell in line for cell in cells) for line in out.getvalue().splitlines()), cells
    assert "warning: 2 answers of the judge could not be read and count as no vote (n_invalid)" in said
    assert "The judge: paid for 5 answers, 70 tokens; 3 more answers came from the cache." in said
    assert "The oracle: paid" not in said
    assert "The judge is the oracle's model" in said and "run/samples.jsonl" in said


def test_percentages() -> None:
    assert [percent(share) for share in (None, 0.0, 0.4594, 1.0)] == ["-", "0.0%", "45.9%", "100.0%"]
