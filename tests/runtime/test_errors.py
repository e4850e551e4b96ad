import pytest

from src.runtime.errors import ConfigError, RunError, error_summary, require


def test_all_conditions_are_checked_before_an_error() -> None:
    require((True, "a"), (True, "b"))
    with pytest.raises(ValueError, match=r"^b\nd$"):
        require((True, "a"), (False, "b"), (True, "c"), (False, "d"))


def test_every_problem_of_a_configuration_is_a_line() -> None:
    assert str(ConfigError(["a\x1b"])) == "1 problem; nothing was started or written:\n  - a\\x1b"
    error = ConfigError(["a", "b"])
    assert str(error) == "2 problems; nothing was started or written:\n  - a\n  - b"
    assert error.problems == ["a", "b"]


def test_messages_are_printable() -> None:
    assert str(RunError("\x1b[2J é")) == "\\x1b[2J é"


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (ValueError("\nField 'dropout':\n    must not be -1\nmore"), "Field 'dropout': must not be -1"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_a_summary_is_one_line(error: Exception, summary: str) -> None:
    assert error_summary(error) == summary
