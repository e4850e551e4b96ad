"""How fast work goes on: when the next line about it is due, and the time that is left."""

import time
from collections.abc import Callable

# Seconds between two lines: at first, and at most. In between a twentieth of the time so far.
FIRST, LONGEST, SHARE = 10.0, 300.0, 1 / 20


class Pace:
    """Says when a line about the progress of a process is due.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = self._last = clock()

    def due(self) -> bool:
        """Whether a line is due now; if so, the next one is due later."""
        now = self._clock()
        if now - self._last < min(max(FIRST, SHARE * (now - self._begin)), LONGEST):
            return False
        self._last = now
        return True


class Remaining:
    """The time that work takes to its end, if it goes on as it has so far.

    Args:
        total: parts of the work.
        done: parts that were done before.
        clock: seconds.
    """

    def __init__(self, total: int, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._before, self._clock, self._begin = total, done, clock, clock()

    def after(self, done: int) -> str:
        """The time left after so many parts, "1:20 left" (minutes, seconds); empty before any part is done."""
        made = done - self._before
        if made <= 0:
            return ""
        seconds = round((self._clock() - self._begin) / made * max(self._total - done, 0))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
