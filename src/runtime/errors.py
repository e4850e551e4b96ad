"""Errors that are the user's to mend: they are shown as a message, never as a traceback.

What they quote may come from anywhere, so nothing in a message can steer a terminal.
"""

from src.runtime.printable import printable


class ConfigError(ValueError):
    """A configuration that cannot run. Holds every problem found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            "\n".join([f"{count}; nothing was started or written:", *(f"  - {printable(one)}" for one in problems)])
        )


class RunError(RuntimeError):
    """A run that cannot go on: what happened, where, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def require(*checks: tuple[bool, str]) -> None:
    """Raises ValueError with the message of every check that does not hold, a line each."""
    failed = [message for holds, message in checks if not holds]
    if failed:
        raise ValueError("\n".join(failed))


def error_summary(error: BaseException) -> str:
    """The first line of an error's message, at most 200 characters; the name of its class if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
