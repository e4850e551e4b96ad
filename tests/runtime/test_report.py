"""What a person reads; tests/test_security.py has text that would control a terminal."""

import functools
import io
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from src.runtime import pace, processes
from src.runtime import report as report_module
from src.runtime.report import Report
from src.runtime.result_table import percent

SFT: dict[str, Any] = {
    "win_rate": 0.359, "win_rate_length_controlled": None, "response_tokens_mean": 17.7, "label_tokens_mean": 48.5,
    "kl_sft": 0.0, "n_prompts": 64, "samples": 1, "split": "validation", "n_invalid": 0, "oracle_calls": 0,
    "win_rate_se": 0.06, "win_rate_lowest": 0.359, "win_rate_highest": 0.359, "win_rate_length_controlled_se": None,
    "length_controlled_why": None, "gold_score_mean": None, "label_gold_score_mean": None,
    "oracle_cached": 0, "oracle_tokens": 0, "judge_calls": 0, "judge_cached": 0, "judge_tokens": 0,
    "judge_is_oracle": False, "loss": "dpo", "reference": "behavior", "F": 4,
}  # fmt: skip


def reporting(terminal: bool = False, width: int = 120, name: str = "") -> tuple[Report, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, soft_wrap=True, width=width, force_terminal=terminal, color_system=None)
    return Report(console, name), out


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
    assert "The judge is the oracle's model" in said and "Written: run/" in said


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


def lines_every(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A clock that a look at takes so long, for lines about progress."""
    clock = itertools.count(0, seconds)
    for kind in ("Pace", "Remaining"):
        monkeypatch.setattr(report_module, kind, functools.partial(getattr(pace, kind), clock=lambda: next(clock)))


def test_without_bars_a_line_says_how_far_the_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lines_every(monkeypatch, 6.0)
    report, out = reporting()
    report.start(64)
    report.validated(SFT | {"step": 0})
    report.validated(SFT | {"step": 16, "win_rate": 0.48})
    for step in range(16, 21):
        report.step(1, step, {"loss": 0.5})
    said = out.getvalue().splitlines()
    assert said[:2] == [
        "SFT policy: win rate 35.9 ± 6.0 % on 64 prompts of validation",
        "step 16: win rate 48.0 ± 6.0 % on 64 prompts of validation",
    ]
    assert len(said) > 2 and re.fullmatch(r"step 21 of 64, round 1, loss 0\.500, wins 48\.0%, \d+:\d\d left", said[-1])


def test_a_long_stage_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lines_every(monkeypatch, 4.0)
    report, out = reporting()
    with report.stage("sampling", 100) as tick:
        for _ in range(10):
            tick(10, note="loss 1.0")
    first, *lines = out.getvalue().splitlines()
    assert first == "sampling" and lines
    assert all(re.fullmatch(r"sampling: \d0 of 100, loss 1\.0, 0:\d\d left", line) for line in lines)


def test_no_bar_is_left_when_the_run_has_ended() -> None:
    report, out = reporting(terminal=True)
    with report.live():
        report.start(4)
        report.step(0, 3, {"loss": 0.5})
        report.result(SFT, SFT, Path("run"))
    assert "learning" not in on_screen(out.getvalue()) and "Written: run/" in on_screen(out.getvalue())


def on_screen(printed: str) -> str:
    """What is left of a text when the lines that are erased (ESC [2K, after ESC [1A) have gone."""
    lines: list[str] = [""]
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n)", printed):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif not part.startswith("\x1b"):
            lines[-1] += part.rpartition("\r")[2]
    return "\n".join(lines)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_word_is_cut_at_the_edge(width: int) -> None:
    report, out = reporting(terminal=True, width=width)
    gold = {"gold_score_mean": 3.214, "label_gold_score_mean": 3.7, "allocation": "far_from_center"}
    final = SFT | gold | {"judge_is_oracle": True, "n_invalid": 3, "fallback_rounds": 1}
    path = Path("outputs") / ("a-long-name-" * 9)
    report.result(SFT | gold, final, path)
    said = out.getvalue()
    assert all(len(line) <= width or str(path) in line for line in said.splitlines())
    words = set(said.split())
    assert f"{path}/" in words and {"controlled", "length-controlled"} & words and "validation," in words
    assert {"35.9", "far_from_center", "prefers.", "instead"} <= words


def test_a_job_beside_others_says_its_name_and_draws_nothing() -> None:
    report, out = reporting(terminal=True, name="loss=ipo seed=1")
    with report.live():
        report.start(4)
        with report.stage("round 0: collecting 8 pairs", 8) as tick:
            tick(8)
        report.warn("slow")
        report.step(0, 3, {"loss": 0.5})
        report.result(SFT, SFT | {"win_rate": 0.5, "seconds": 85.2}, Path("run"))
    assert out.getvalue().splitlines() == [
        "loss=ipo seed=1: warning: slow",
        "loss=ipo seed=1: finished: win rate 50.0 ± 6.0 % (SFT policy 35.9 ± 6.0 %) on validation, 85 s",
    ]


def test_a_dumb_terminal_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    report, out = reporting(terminal=True)
    with report.live(), report.stage("sampling", 3) as tick:
        tick(3)
    assert out.getvalue() == "sampling\n"


def test_percentages() -> None:
    assert [percent(share) for share in (None, 0.0, 0.4594, 1.0)] == ["-", "0.0%", "45.9%", "100.0%"]
