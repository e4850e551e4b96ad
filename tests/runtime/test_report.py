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
    "kl_sft": 0.0, "n_prompts": 64, "samples": 1, "split": "validation", "n_invalid": 0, "oracle_calls": 0,
    "win_rate_se": 0.06, "win_rate_lowest": 0.359, "win_rate_highest": 0.359, "win_rate_length_controlled_se": None,
    "length_controlled_why": None, "gold_score_mean": None, "label_gold_score_mean": None,
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


def test_a_long_stage_says_how_far_it_is_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 129.9, 130.0, 140.0, 161.0, 191.0, 300.0])
    monkeypatch.setattr("src.runtime.report.time.monotonic", lambda: next(clock))
    report, out = reporting()
    with report.stage("sampling", 9, listed=False) as tick:
        for _ in range(3):
            tick(1)
        tick(2, note="loss 1.0")
        tick(0)  # nothing new
        tick(4)  # the end says itself
    assert (
        out.getvalue()
        == "sampling: 2 of 9 after 30 s\nsampling: 5 of 9 after 61 s, loss 1.0\nsampling: 5 of 9 after 91 s\n"
    )


def test_pairs_and_answers_are_told_apart() -> None:
    report, out = reporting()
    report.result(SFT, SFT | {"oracle_invalid": 3, "annotated_pairs": 16, "oracle_calls": 32}, Path("run"))
    said = " ".join(out.getvalue().split())
    assert "3 of 16 annotated pairs got no usable verdict of the oracle" in said
    assert "The oracle: paid for 32 answers (two a pair)" in said


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
        "win_rate": 0.5, "win_rate_length_controlled": 0.4594, "win_rate_length_controlled_se": 0.0712,
        "kl_sft": 3.14159, "n_invalid": 2, "win_rate_lowest": 0.484, "win_rate_highest": 0.516, "judge_calls": 5,
        "judge_tokens": 70, "judge_cached": 3, "judge_is_oracle": True,
    }  # fmt: skip
    report.result(SFT, final, Path("run"))
    said = " ".join(out.getvalue().split())
    assert "64 prompts of validation, against the human text" in said
    for cells in (
        ("SFT", "35.9 ± 6.0 %", "-", "17.7 (48.5)", "0.00"),
        ("dpo, reference behavior, F=4", "50.0 ± 6.0 %", "45.9 ± 7.1 %", "17.7 (48.5)", "3.14"),
    ):
        assert any(all(cell in line for cell in cells) for line in out.getvalue().splitlines()), cells
    assert "warning: 2 of 64 responses got no usable verdict of the judge and count as no vote (n_invalid)" in said
    assert "the win rate is between 48.4% and 51.6%" in said and "gold score" not in said
    assert "The judge: paid for 5 answers (two a pair), 70 tokens; 3 more answers came from the cache." in said
    assert "The oracle: paid" not in said
    assert "The judge is the oracle's model" in said and "run/samples.jsonl" in said


def test_rounds_that_were_made_uniformly_are_in_the_table_and_below_it() -> None:
    report, out = reporting()
    report.result(SFT, SFT | {"allocation": "balanced", "fallback_rounds": 3}, Path("run"))
    assert "balanced" in (said := out.getvalue()) and "in 1 of 4" in " ".join(said.replace("│", " ").split())
    assert "warning: allocation=balanced: 3 of 4 rounds were made uniformly instead" in out.getvalue()
    report, out = reporting()
    report.result(SFT, SFT | {"allocation": "balanced", "fallback_rounds": 0}, Path("run"))
    assert "balanced " in out.getvalue() and "uniformly" not in out.getvalue()


def test_the_gold_score_and_the_number_of_responses_are_in_the_table() -> None:
    report, out = reporting()
    exact = SFT | {"gold_score_mean": 3.214, "label_gold_score_mean": 3.7, "samples": 4}
    why = "all responses are longer than the texts they were compared with"
    report.result(exact, exact | {"length_controlled_why": why}, Path("run"))
    said = " ".join(out.getvalue().split())
    assert "64 prompts of validation, 4 responses each, against the human text" in said
    assert "3.21 (3.70)" in said and f"no length-controlled win rate: {why}" in said


def test_percentages() -> None:
    assert [percent(share) for share in (None, 0.0, 0.4594, 1.0)] == ["-", "0.0%", "45.9%", "100.0%"]
