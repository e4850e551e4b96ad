"""One message for whatever loading a model raises: a damaged file ends in any of a dozen kinds of exception."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from src.runtime.errors import RunError


@contextmanager
def as_run_error(message: Callable[[Exception], str]) -> Iterator[None]:
    """Turns the exceptions of a block into a RunError.

    Args:
        message: the RunError's message, from the exception.

    Raises:
        RunError: in place of any other exception.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        raise RunError(message(error)) from error
