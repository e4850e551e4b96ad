import time

import pytest

from src.runtime.timing import timed


def test_seconds_of_blocks_are_added_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5, 20.0, 20.25, 30.0, 31.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    seconds: dict[str, float] = {"other": 7.0}
    with timed(seconds, "learn"):
        pass
    with timed(seconds, "learn"):
        pass
    with pytest.raises(ZeroDivisionError), timed(seconds, "other"):
        raise ZeroDivisionError
    assert seconds == {"learn": 2.75, "other": 8.0}
