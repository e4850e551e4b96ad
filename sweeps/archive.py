"""Archives: the result rows of finished runs in one small file, which can be committed.

An archive is gzip of JSON lines, a line per run: {"run": folder name, "settings": {dotted key: value}, "rows": [...]}.
Added runs form a new gzip member behind the old bytes. Old bytes and new member are written to a temporary file, which
then replaces the archive. So a kill leaves the old archive or the new one, and readers need no lock. Appending in place
would save a copy of a few hundred kilobytes per run, but leave a cut member after a kill, and a repair would then
have to tell a cut member from a damaged one. Here a cut archive is damage, for example a cut copy, and is refused.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from src.run_folder.final_row import rows_problem
from src.runtime.errors import RunError
from src.storage.files import sync, writing
from src.storage.rows import dump_row
from sweeps.finished import Finished

BLOCK = 2**16
GZIP = 16 + zlib.MAX_WBITS


@dataclass
class Archive:
    """The runs of an archive, in memory and in its file.

    Several processes may add to one archive: the lock makes them take turns, and each reads what the others added.

    Args:
        file: the archive; a missing file is an archive without runs.

    Attributes:
        runs: identity -> run.

    Raises:
        RunError: if the file is damaged or no archive.
    """

    file: Path
    runs: dict[tuple[str, int], Finished] = field(default_factory=dict, init=False)
    _read: tuple[int, int, int] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.file = self.file.resolve()
        self.read()

    def read(self) -> None:
        """Reads the file if it has changed since the last call.

        Raises:
            RunError: if the file is damaged or no archive.
        """
        if (stamp := self._stamp()) == self._read:
            return
        runs, problem = whole_runs(self.file)
        if problem:
            raise RunError(
                f"{problem}; put back a whole copy, or save its {len(runs)} whole runs in a new archive: "
                f"python -m sweeps.keep NEW.jsonl.gz {self.file}"
            )
        self.runs = {}
        for run in runs:
            self.runs.setdefault(run.identity, run)
        self._read = stamp

    def add(self, runs: Iterable[Finished]) -> list[Finished]:
        """Adds the runs that are not in the archive, and waits until they are on the disk.

        Returns:
            The runs that were added. A run of the same job stays as it is, even if its results differ.

        Raises:
            RunError: if the file is damaged, or cannot be written.
        """
        with writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_name(f".{self.file.name}.lock")):
            self.read()
            new = {run.identity: run for run in runs if run.identity not in self.runs}
            if new:
                member = gzip.compress("".join(dump_row(asdict(run)) for run in new.values()).encode(), mtime=0)
                self._append(member)
                self.runs |= new
                self._read = self._stamp()
        return list(new.values())

    def _append(self, member: bytes) -> None:
        temporary = self.file.with_name(f".{self.file.name}.partial")
        with writing(self.file):
            temporary.write_bytes((self.file.read_bytes() if self.file.exists() else b"") + member)
            sync(temporary)
            temporary.replace(self.file)
            sync(self.file.parent)

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever another process replaces the file."""
        if not self.file.exists():
            return None
        stat = self.file.stat()
        return stat.st_ino, stat.st_size, stat.st_mtime_ns


def whole_runs(file: Path) -> tuple[list[Finished], str]:
    """The runs of an archive up to the first damage, and what the damage is; an empty text if there is none."""
    runs: list[Finished] = []
    try:
        for member in _members(file):
            for line in member.split(b"\n")[:-1]:
                runs.append(_finished(line))
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"{file} cannot be read ({error.strerror})"
    except EOFError:
        return runs, f"{file} is cut off after {len(runs)} runs"
    except zlib.error:
        what = f"is damaged after {len(runs)} runs" if runs else "is no archive of results: it is not gzip, or damaged"
        return runs, f"{file} {what}"
    except ValueError as error:
        return runs, f"{file}, line {len(runs) + 1}: no finished run ({error}); expected an archive of results"
    return runs, ""


def _members(file: Path) -> Iterator[bytes]:
    """The text of each gzip member, once its checksum is found right."""
    with file.open("rb") as stream:
        rest = b""
        while block := rest or stream.read(BLOCK):
            member, parts = zlib.decompressobj(GZIP), []
            while block and not member.eof:
                parts.append(member.decompress(block))
                block = b"" if member.eof else stream.read(BLOCK)
            if not member.eof:
                raise EOFError
            rest = member.unused_data
            yield b"".join(parts)


def _finished(line: bytes) -> Finished:
    """The run of a line.

    Raises:
        ValueError: if there is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(record, dict) or set(record) != {"run", "settings", "rows"}:
        raise ValueError("not run, settings and rows")
    if not (
        isinstance(record["run"], str) and isinstance(record["settings"], dict) and isinstance(record["rows"], list)
    ):
        raise ValueError("run, settings or rows of another type")
    if problem := rows_problem(record["rows"]):
        raise ValueError(problem)
    return Finished(**record)
