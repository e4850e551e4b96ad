"""What the commands have in common: their help, refused flags, and errors as one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from src.cli.command import run_command
from src.runtime.errors import ConfigError, RunError

COMMANDS = ("evaluate", "reward", "sample", "sft", "verify")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError(["a: wrong", "b: wrong"]), "error: 2 problems; nothing was started or written:\n"),
        (RunError("torn\x1b[2J"), "error: torn\\x1b[2J"),
        (FloatingPointError("the loss is nan"), "error: the loss is nan"),
        (OSError("no\x07space"), "error: no\\x07space"),
    ],
)
def test_an_error_is_one_message(error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(arguments: list[str]) -> None:
        assert arguments == ["a=1"]
        raise error

    monkeypatch.setattr("sys.argv", ["command", "a=1"])
    with pytest.raises(SystemExit) as ended:
        run_command("help", work)
    assert str(ended.value.code).startswith(expected)


def test_flags_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["command", "a=1", "--multirun"])
    with pytest.raises(SystemExit, match="--multirun: this command takes key=value only"):
        run_command("help", lambda arguments: pytest.fail("the work was begun"))


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("argument", ["--help", "sed=1"])
def test_help_and_typing_errors_import_no_torch(name: str, argument: str) -> None:
    """They are answered at once; a module that brings torch takes seconds."""
    code = (
        "import sys\n"
        f"from src.{name} import main\n"
        f"sys.argv = ['command', {argument!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print('ended with', end.code)\n"
        "print('heavy', [name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "heavy []" in done.stdout
    if argument == "--help":
        assert f"python -m src.{name}" in done.stdout and "ended with None" in done.stdout
    else:
        assert "sed=1: no such" in done.stdout
