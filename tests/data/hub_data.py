"""The sources of conf/source, with local copies of few rows."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from src.cli.compose import compose_jobs
from src.cli.read_config import read_config
from src.data.hub import HubData
from src.records import Row
from tests.data import hub_sets
from tests.data.hub_sets import write

Make = Callable[[Sequence[int]], hub_sets.Rows]
# source -> its task, what makes its rows, its own splits, the files below data_dir.
SCHEMAS: dict[str, tuple[str, Make, tuple[str, ...]]] = {
    "hub_tldr": ("tldr", hub_sets.tldr, ("train", "validation", "test")),
    "paper_tldr": ("tldr", hub_sets.openai_tldr, ("train", "valid", "test")),
    "hub_helpfulness": ("helpfulness", hub_sets.hh, ("train", "test")),
    "hub_harmlessness": ("harmlessness", hub_sets.hh, ("train", "test")),
    "paper_helpfulness": ("helpfulness", hub_sets.helpful_raw, ("train",)),
    "paper_harmlessness": ("harmlessness", hub_sets.hh_h4, ("train", "test")),
}
NAMES = {
    "parquet": "data/{}-00000-of-00001-0a1b.parquet",
    "jsonl": "{}.jsonl",
    "jsonl.gz": "{}.jsonl.gz",
    "csv": "{}.csv",
}
FIRST = {"train": 0, "validation": 100, "valid": 100, "test": 200}


@functools.cache
def composed(source: str) -> HubData:
    """The data of a source as its yaml has it."""
    jobs, problems = compose_jobs(["data=hub", f"task={SCHEMAS[source][0]}", f"source={source}"])
    assert not problems and not jobs[0].problems
    config, _ = read_config(jobs[0].plain)
    assert config is not None and isinstance(config.data, HubData)
    return config.data


def configured(source: str, path: Path | str, **changes: object) -> HubData:
    """The data of a source as its yaml has it, with another path and smaller splits."""
    data = composed(source)
    small = {"train": 20, "validation": 4} | ({"test": 5} if data.test_split is None else {})
    return replace(data, path=str(path), **(small | changes))  # type: ignore[arg-type]


def make(folder: Path, source: str, kind: str = "jsonl", rows: int = 30, **changes: object) -> HubData:
    """A local copy with so many rows a split, and its configuration."""
    _, rows_of, splits = SCHEMAS[source]
    data = configured(source, folder, **changes)
    for split in splits:
        name = NAMES[kind].format(split)
        if data.data_dir:
            name = f"{data.data_dir}/{Path(name).name}"
        write(folder / name, rows_of(range(FIRST[split], FIRST[split] + rows)))
    return data


def plain(folder: Path, **changes: object) -> HubData:
    """TRL's TL;DR schema, with what a test wrote in the folder."""
    return configured(
        "hub_tldr", folder, validation_split=None, test_split=None, validation=2, test=2, train=None, **changes
    )


def prompts(rows: list[Row] | None) -> list[str]:
    return [row.prompt for row in rows or []]
