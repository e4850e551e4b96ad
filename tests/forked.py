"""A command in a process of its own that is forked from the tests': killed and signalled as one that a shell started.

Loading torch and transformers takes a fresh interpreter 6 seconds; a fork has them loaded already. Of every command at
least one test starts an interpreter (`commands.started`), so that what is loaded, and when, is tested too.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.processes import fork


class Forked:
    """A running command, with the methods of `subprocess.Popen` that tests use; stderr goes into its output.

    Args:
        main: the function of the command's module; it reads sys.argv.
        folder: where it runs.
        arguments: of the command line.
        environment: further variables; HOME is the folder, and no other variable of the tests' is passed on.
    """

    def __init__(self, main: Callable[[], object], folder: Path, *arguments: str, **environment: str) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        # The threads of the tokenizers library do not survive a fork, so a fork may not wait for them.
        alone = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(folder)} | alone | environment

        def run() -> None:
            for descriptor in (1, 2):
                os.dup2(self._output.fileno(), descriptor)
            sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", closefd=False) for descriptor in (1, 2))
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(variables)
            sys.argv = [str(main.__module__), *arguments]
            try:
                main()
            finally:
                sys.stdout.flush()

        self._process = fork.Process(target=run)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return self._process.exitcode

    def communicate(self, timeout: float = 300) -> tuple[str, None]:
        """Waits for the end; what it wrote, and nothing for stderr, as of a Popen whose stderr goes to stdout."""
        self.wait(timeout)
        self._output.seek(0)
        return self._output.read().decode(), None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
