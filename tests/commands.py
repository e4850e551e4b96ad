"""The commands: called in the tests' process, or started in a fresh interpreter as a shell would."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from tests.experiments import SMOKE, built

ROOT = Path(__file__).parents[1]


def called(main: Callable[[], None], *arguments: object) -> str | None:
    """Runs a command's main(); what it says on ending badly, or None where it ends well."""
    with mock.patch.object(sys, "argv", ["command", *map(str, arguments)]):
        try:
            main()
        except SystemExit as end:
            return str(end.code) if end.code else None
    return None


def started(folder: Path, *arguments: str, module: str = "src.train", **environment: str) -> subprocess.Popen[str]:
    """The real command in a folder, its output in one stream; 6 seconds of loading go by (see `tests.forked`)."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder, env=_variables(folder) | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def command(folder: Path, *arguments: str, module: str = "src.train") -> subprocess.CompletedProcess[str]:
    """Runs the real command to its end, stdout and stderr apart."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder, env=_variables(folder), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def _variables(folder: Path) -> dict[str, str]:
    """As after `pip install -e .`, in a home that knows nothing."""
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}


def small_run(folder: Path, cache: Path, *overrides: str) -> Path:
    """A finished run of seconds."""
    built(folder, cache, "evaluate.every=0", "learning_rate=0.01", *overrides).run()
    return folder


def smoke(cache: Path) -> tuple[str, ...]:
    return (*SMOKE, f"cache={cache}")
