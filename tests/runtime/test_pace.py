"""When a line about progress is due, and the time left."""

from src.runtime.pace import Pace, Remaining


def lines(seconds: int, look: int) -> list[int]:
    """When lines are printed if the clock is looked at every so many seconds."""
    now = 0
    pace = Pace(lambda: now)
    said = []
    while now < seconds:
        now += look
        if pace.due():
            said.append(now)
    return said


def test_lines_come_every_ten_seconds_at_first_and_then_less_often() -> None:
    first = lines(120, 1)
    assert first == list(range(10, 121, 10))
    hours = lines(8 * 3600, 1)
    assert hours[-1] - hours[-2] == 300 and len(hours) < 250


def test_a_clock_that_is_looked_at_seldom_gives_a_line_a_look() -> None:
    assert lines(300, 60) == [60, 120, 180, 240, 300]


def test_the_time_left() -> None:
    now = 0.0
    remaining = Remaining(64, 16, lambda: now)
    assert remaining.after(16) == ""
    now = 20.0
    assert remaining.after(20) == "3:40 left"  # 44 steps of 5 s
    assert remaining.after(64) == "0:00 left"
    now = 4000.0
    assert remaining.after(32) == "2:13:20 left"
