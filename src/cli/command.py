"""What every command but src.train does around its work: the help, and errors as one message."""

import sys
from collections.abc import Callable

from src.cli.arguments import refuse_flags
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import printable


def run_command(help: str | None, work: Callable[[list[str]], None]) -> None:
    """Runs a command that takes key=value arguments only.

    Args:
        help: the command's docstring, which --help prints.
        work: takes the arguments as typed. It imports torch only after it has read them, so that --help and a mistyped
            key are answered at once.

    Raises:
        SystemExit: with a message for the user, if the command cannot run or stops halfway.
    """
    arguments = sys.argv[1:]
    try:
        refuse_flags(arguments, str(help))
        work(arguments)
    except (ConfigError, RunError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")
