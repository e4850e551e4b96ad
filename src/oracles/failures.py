"""Requests that failed: whether another try may help, and how long to wait before it."""

import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz

# Seconds: the first wait between two tries, and the longest; waits double in between.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# Characters of a server's message that are quoted.
LONGEST_QUOTE = 200


class Trouble(Exception):
    """A try that gave no answer.

    Args:
        what: what happened, in words.
        again: whether another try may help.
        wait: seconds that the server asks to wait.
    """

    def __init__(self, what: str, again: bool, wait: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.again, self.wait = what, again, wait

    def after(self, first: "Trouble") -> "Trouble":
        """This trouble with the first of those before it, which is the likelier cause of them all."""
        if first.what == self.what:
            return self
        return type(self)(f"first {first.what}; at last {self.what}", self.again, self.wait)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the headers of a reply ask to wait.

    Args:
        headers: with `retry-after-ms`, or `retry-after` as a number of seconds or a date.

    Returns:
        Seconds, >= 0; 0 where the headers ask for none.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            return max(seconds, 0.0) if seconds == seconds else 0.0
    date = parsedate_tz(headers.get("retry-after", ""))
    return max(mktime_tz(date) - time.time(), 0.0) if date else 0.0


def quoted(said: str) -> str:
    """The first line of a server's message, at most 200 characters: proxies answer with whole pages."""
    return (said.splitlines() or [""])[0][:LONGEST_QUOTE]
