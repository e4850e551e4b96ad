"""Runs that come with the analysis, to see every figure and the page without a run of one's own: `--example`.

    python -m analysis.example FOLDER

makes analysis/example.zip again, from the runs below a folder: their result rows and metrics whole, of responses and
pairs the first ones. The runs are short ones of a small model; their numbers say nothing about the methods.
"""

import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from analysis.runs import run_folders

FILE = Path(__file__).with_name("example.zip")
# Rows of samples.jsonl from its end, and of every round's pairs, that are kept of a run.
SAMPLES, PAIRS = 24, 4
DATE = (1980, 1, 1, 0, 0, 0)


@contextmanager
def unpacked() -> Iterator[Path]:
    """The example's run folders, in a folder of their own that is removed after the block."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(FILE) as archive:
        archive.extractall(folder)
        yield Path(folder)


def pack(folder: Path, file: Path) -> None:
    """Packs the runs below a folder; the same runs give the same bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number, run in enumerate(run_folders(folder), 1):
            for name, text in _kept(run):
                archive.writestr(zipfile.ZipInfo(f"run{number:02}/{name}", DATE), text, zipfile.ZIP_DEFLATED, 9)


def _kept(run: Path) -> Iterator[tuple[str, str]]:
    config = yaml.safe_load((run / "config.yaml").read_text())
    cache = config["cache"]
    yield "config.yaml", yaml.safe_dump({**config, "cache": ".cache"}, sort_keys=False)
    for name in ("identity.json", "results.jsonl"):
        yield name, (run / name).read_text()
    yield "attempts.jsonl", (run / "attempts.jsonl").read_text().replace(f"cache={cache} ", "")
    metrics = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    thin = ({key: value for key, value in row.items() if not key.startswith("allocation/")} for row in metrics)
    yield "metrics.jsonl", _lines(thin)
    yield "samples.jsonl", "".join((run / "samples.jsonl").read_text().splitlines(keepends=True)[-SAMPLES:])
    for file in sorted((run / "pairs").glob("round_*.jsonl")):
        rows = map(json.loads, file.read_text().splitlines()[:PAIRS])
        yield f"pairs/{file.name}", _lines({**row, "prompt_ids": []} for row in rows)
    after = map(json.loads, (run / "pairs" / "after.jsonl").read_text().splitlines())
    yield "pairs/after.jsonl", _lines(row for row in after if row["pair"] < PAIRS)
    if config["choices"]["allocation"] == "balanced":
        yield "pairs/plan_000.json", (run / "pairs" / "plan_000.json").read_text()


def _lines(rows: Iterator[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    pack(Path(sys.argv[1]), FILE)
