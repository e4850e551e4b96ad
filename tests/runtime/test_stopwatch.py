import time

import pytest

from src.runtime.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, in its last entry."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[-1])
    return now


def test_an_inner_stage_is_not_counted_for_the_outer_one(clock: list[float]) -> None:
    watch = Stopwatch(["collect", "annotate", "learn"])
    with watch.stage("collect"):
        clock.append(2.0)
        with watch.stage("annotate"):
            clock.append(5.0)
            with watch.stage("features"):
                clock.append(6.0)
        clock.append(10.0)
        with watch.stage("annotate"):
            clock.append(10.5)
    clock.append(99.0)
    assert watch.lap() == {"collect": 6.0, "annotate": 3.5, "learn": 0.0, "features": 1.0}
    assert watch.lap() == {"collect": 0.0, "annotate": 0.0, "learn": 0.0}


def test_a_stage_that_ends_in_an_error_is_counted_and_left(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch.stage("learn"):
        with pytest.raises(ValueError), watch.stage("annotate"):
            clock.append(1.0)
            raise ValueError
        clock.append(4.0)
    assert watch.lap() == {"annotate": 1.0, "learn": 3.0}


def test_a_lap_within_a_stage_splits_it(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch.stage("learn"):
        clock.append(1.0)
        assert watch.lap() == {"learn": 1.0}
        clock.append(3.0)
    assert watch.lap() == {"learn": 2.0}
