"""Errors that are the user's to mend: they are shown as a message, never as a traceback."""


class ConfigError(ValueError):
    """A configuration that cannot run. Holds every problem found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            "\n".join([f"{count}; nothing was started or written:", *(f"  - {text}" for text in problems)])
        )


class RunError(RuntimeError):
    """A run that cannot go on: what happened, where, and what to do."""


def require(*checks: tuple[bool, str]) -> None:
    """Raises ValueError with the message of every check that does not hold, a line each."""
    failed = [message for holds, message in checks if not holds]
    if failed:
        raise ValueError("\n".join(failed))
