"""Archives of result rows, as `sweeps.keep` and `sweeps.run --results` write them: runs without metrics and samples.

An archive is gzip of JSON lines, a line per run: {"run": folder name, "settings": {dotted key: value}, "rows": [...]}.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import AnalysisError


@dataclass(frozen=True)
class Archived:
    """A line of an archive.

    Attributes:
        where: name of the archive and of the run, as messages name it.
        settings: the run's resolved configuration, dotted key -> value.
        rows: all rows of its results.jsonl.
    """

    where: str
    settings: Mapping[str, Any]
    rows: Sequence[Any]


def read_archive(file: Path) -> list[Archived]:
    """The runs of an archive, in its order.

    Raises:
        AnalysisError: if the file is damaged, or no archive. Archives are written whole, so no part of one is read.
    """
    try:
        text = gzip.decompress(file.read_bytes())
    except (EOFError, zlib.error):
        raise AnalysisError(
            [
                f"{file} is damaged or cut off; put back a whole copy, or save its whole runs in a new archive: "
                f"python -m sweeps.keep NEW.jsonl.gz {file}"
            ]
        ) from None
    except OSError as error:
        raise AnalysisError([f"{file}: that is a file, and no archive of results ({error})"]) from None
    return [_archived(file, number, line) for number, line in enumerate(text.split(b"\n")[:-1], 1)]


def _archived(file: Path, number: int, line: bytes) -> Archived:
    try:
        record = json.loads(line)
        run, settings, rows = record["run"], record["settings"], record["rows"]
    except (ValueError, RecursionError, KeyError, TypeError):
        run = settings = rows = None
    if not (isinstance(run, str) and isinstance(settings, dict) and isinstance(rows, list)):
        raise AnalysisError([f"{file}, line {number}: no run; expected an archive that sweeps.keep has written"])
    return Archived(f"{file.name}: {run}", settings, rows)
