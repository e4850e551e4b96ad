"""A command's own keys, beside those of conf/train.yaml: taken as typed, so that paths and prompts need no quotes."""

import sys
from collections.abc import Sequence

from src.runtime.errors import ConfigError


def own_arguments(arguments: Sequence[str], own: Sequence[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """Splits a command at its own keys.

    Hydra would split `prompt=Hello, there` at the comma, and has a meaning for quotes and braces.

    Returns:
        The values of the own keys that are given, the other arguments, and what is wrong with the former.
    """
    values: dict[str, str] = {}
    others, problems = [], []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in own:
            others.append(argument)
        elif key in values:
            problems.append(f"{argument}: {key} is given twice")
        elif not value.strip():
            problems.append(f"{argument}: a value is missing; leave the key out if there is none")
        elif "\0" in value:
            problems.append(f"{key}: holds a NUL, which no path and no text has")
        else:
            values[key] = value
    return values, others, problems


def whole_number(values: dict[str, str], key: str, default: int) -> tuple[int, list[str]]:
    """The value of a key that counts something, at least 1; and what is wrong with it."""
    text = values.get(key, str(default))
    fine = text.isascii() and text.isdigit() and int(text) >= 1
    return (int(text), []) if fine else (default, [f"{key}={text}: expected a whole number of at least 1"])


def number(values: dict[str, str], key: str) -> tuple[float | None, list[str]]:
    """The value of a key that is a number of at least 0, None if it is not given; and what is wrong with it."""
    if key not in values:
        return None, []
    try:
        value = float(values[key])
    except ValueError:
        value = float("nan")
    fine = 0 <= value < float("inf")
    return (value, []) if fine else (None, [f"{key}={values[key]}: expected a number of at least 0"])


def refuse_flags(arguments: Sequence[str], help: str) -> None:
    """Prints the help and ends if it is asked for.

    Raises:
        ConfigError: if there is any other flag.
    """
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags and flags[0] in ("-h", "--help"):
        sys.stdout.write(help)
        sys.exit()
    if flags:
        raise ConfigError([f"{flag}: this command takes key=value only; --help lists the keys" for flag in flags])
