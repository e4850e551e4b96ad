"""Errors that the user can correct: shown as a message, never as a traceback.

Messages may quote text from anywhere, so control characters in them are escaped.
"""

from src.runtime.printable import printable


class ConfigError(ValueError):
    """A configuration that cannot run.

    Args:
        problems: every problem found; the message has one per line.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            "\n".join(
                [f"{count}; nothing was started or written:", *(f"  - {printable(problem)}" for problem in problems)]
            )
        )


class RunError(RuntimeError):
    """A run that cannot go on.

    Args:
        message: what happened, where, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def require(*checks: tuple[bool, str]) -> None:
    """Checks all conditions before it raises.

    Args:
        checks: conditions that must hold, each with the message for when it does not.

    Raises:
        ValueError: if a condition does not hold; the messages of all that do not, one per line.
    """
    failed = [message for holds, message in checks if not holds]
    if failed:
        raise ValueError("\n".join(failed))


def error_summary(error: BaseException) -> str:
    """The first line of an error's message, at most 200 characters; the name of its class if the message is empty.

    A line that ends in a colon is the head of the next one.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:200]
