"""`data=hub`: data sets of the Hugging Face hub, and local copies of them in Parquet, JSON lines or CSV."""

import csv
import logging
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from src.data.dialogue import prompt_and_reply
from src.data.formats import FORMATS, PACKED, format_of, records
from src.data.rows import (
    Columns,
    NoText,
    check_preference_columns,
    read_rows_of,
    shortened,
    value,
)
from src.data.splits import Splits, disjoint
from src.records import Row
from src.runtime.errors import ConfigError, require
from src.runtime.seeding import numpy_stream
from src.storage.files import local_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubData:
    """Rows of a data set, each prompt once, in splits of their own or cut from train.

    Every source split is freed of repeated prompts (and of those that stand in a held-out split), shuffled, and cut to
    its size. A split that the source does not have is cut from train, before anything else is taken there: so more
    training rows leave it as it is. Rows too long for the policy are left out later, where its tokenizer is known.

    Args:
        path: the data set's name on the hub (owner/name), or a local folder.
        revision: the commit on the hub; a local folder has none, and it is ignored.
        data_dir: the folder in the data set that holds the files; None for the data set itself.
        layout: "columns": prompt and label are texts in columns of their own; "dialogue": a column holds a whole
            dialogue, a text or a list of messages, and its last reply is the label. See `prompt_and_reply`.
        prompt_column: None for dialogues, which bring their prompts.
        prompt_suffix: put behind every prompt of the layout "columns"; does not end in white space.
        label_column: of the label, or of the dialogue that ends in it.
        chosen_column, rejected_column: of two responses to the prompt, for collect=dataset; None where there are none.
            Dialogues that part before their last reply are no pair.
        rows_without_text: "refuse" ends the run where a text is empty or a dialogue does not end in a reply, "drop"
            leaves such rows out and counts them. Anything else that is wrong with a row ends the run.
        train_split, validation_split, test_split: their names in the source; None to cut one from train.
        train, validation, test: most rows of each; None for all (and no test split if it has no source).
        seed: of the shuffle; not the run's, so that all runs see the same splits.
    """

    path: str
    revision: str | None
    data_dir: str | None
    layout: str
    prompt_column: str | None
    prompt_suffix: str
    label_column: str
    chosen_column: str | None
    rejected_column: str | None
    rows_without_text: str
    train_split: str
    validation_split: str | None
    test_split: str | None
    train: int | None
    validation: int | None
    test: int | None
    seed: int
    has_gold_score: ClassVar[bool] = False

    def __post_init__(self) -> None:
        named = list(self._sources().values())
        sizes = {name: getattr(self, name) for name in ("train", "validation", "test")}
        prompt = "null" if self.prompt_column is None else self.prompt_column
        require(
            (self.layout in ("columns", "dialogue"), f"layout={self.layout}: expected columns or dialogue"),
            (
                (self.layout == "dialogue") == (self.prompt_column is None),
                f"prompt_column={prompt}: expected a column with layout=columns, null with layout=dialogue, and "
                f"layout={self.layout}",
            ),
            (
                self.prompt_suffix == self.prompt_suffix.rstrip(),
                f"prompt_suffix={self.prompt_suffix!r}: no prompt may end in white space",
            ),
            (
                self.layout == "columns" or not self.prompt_suffix,
                f"prompt_suffix={self.prompt_suffix!r}: expected none, for a dialogue's prompt ends in Assistant:",
            ),
            (
                self.rows_without_text in ("drop", "refuse"),
                f"rows_without_text={self.rows_without_text}: expected drop or refuse",
            ),
            (
                len(set(named)) == len(named),
                f"train_split, validation_split and test_split are {', '.join(named)}: expected different ones",
            ),
            (
                self.validation is not None or self.validation_split is not None,
                "validation=null: expected a number of rows, for they are cut from train (validation_split=null)",
            ),
            *(
                (size is None or size >= 1, f"{name}={size}: expected at least 1, or null for all")
                for name, size in sizes.items()
            ),
        )
        check_preference_columns(self.chosen_column, self.rejected_column)

    @property
    def has_preferences(self) -> bool:
        return self.chosen_column is not None

    def problems(self, task: str) -> list[str]:
        """What can be seen without reading or downloading anything: a local folder that is not there, or empty."""
        if not self._is_local():
            known = re.fullmatch(r"[\w.-]+/[\w.-]+", self.path)
            return [] if known else [f"data.path={self.path}: no such folder, and no name on the hub (owner/name)"]
        folder = self._below(local_path(self.path))
        if not folder.is_dir():
            hint = "; data.data_dir=null reads data.path itself" if self.data_dir else ""
            return [f"data.path={self.path}: no such folder: {folder}{hint}"]
        if not any(format_of(file) for file in folder.rglob("*")):
            return [f"data.path={self.path}: no data files in {folder}; expected one of {', '.join(FORMATS)}"]
        return []

    def load(self, task: str) -> Splits:
        """Downloads what is not in the cache of the hub, reads it and makes the splits.

        Raises:
            ConfigError: if the data cannot be had, or has faults, each with its file and row.
        """
        return self._cut(disjoint(self._own(task), self.path))

    def rows(self, task: str) -> Splits:
        """The splits as they lie in the source, repeated prompts and all; those that the source lacks as `load` cuts
        them.

        Raises:
            ConfigError: as `load`.
        """
        own = self._own(task)
        cut = self._cut(disjoint(own, self.path))
        return Splits(own["train"], own.get("validation", cut.validation), own.get("test", cut.test))

    def _own(self, task: str) -> dict[str, list[Row]]:
        """The rows of the source's own splits."""
        if problems := self.problems(task):
            raise ConfigError(problems)
        folder = local_path(self.path) if self._is_local() else self._download()
        files = self._files(folder)
        read: dict[str, list[Row]] = {}
        problems = []
        for name, source in self._sources().items():
            # To the hub a file valid.jsonl is the split "validation", and valid-00000-of-00001.parquet is "valid".
            found = files.get(source) or files.get("validation" if source == "valid" else source)
            if found is None:
                there = ", ".join(sorted(files)) or "none"
                problems.append(f"data.{name}_split={source}: {self.path} has no such split, only {there}")
                continue
            read[name], faults = self._read(found)
            problems += faults
            if not read[name] and not faults:
                problems.append(f"{self.path}: no rows in the split {source}")
        if problems:
            raise ConfigError(problems)
        return read

    def _sources(self) -> dict[str, str]:
        """Our name of a split -> the source's, where it has one."""
        splits = {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}
        return {name: source for name, source in splits.items() if source is not None}

    def _is_local(self) -> bool:
        return self.path.startswith(("/", ".", "~")) or Path(self.path).exists()

    def _below(self, folder: Path) -> Path:
        return folder / self.data_dir if self.data_dir else folder

    def _download(self) -> Path:
        """The cache's copy of the revision; with HF_HUB_OFFLINE=1 no network is asked."""
        # Slow to load, as `datasets` is, and needed here alone.
        from huggingface_hub import snapshot_download

        inside = f"{self.data_dir}/" if self.data_dir else ""
        wanted = ["README.md", *(f"{inside}*{suffix}{packed}" for suffix in FORMATS for packed in ("", PACKED))]
        with _quiet("huggingface_hub"):
            try:
                return Path(
                    snapshot_download(self.path, repo_type="dataset", revision=self.revision, allow_patterns=wanted)
                )
            except Exception as error:  # of the network, in a dozen kinds
                said = str(error).strip().splitlines() or [type(error).__name__]
                raise ConfigError([self._no_access(said[0].rstrip("."))]) from error

    def _no_access(self, said: str) -> str:
        return (
            f"{self.path} (revision {self.revision or 'main'}) cannot be had here: {said}. Any of these helps: run the "
            "command once where there is a network, copy the cache (~/.cache/huggingface/hub, or what HF_HUB_CACHE "
            "says) here and set HF_HUB_OFFLINE=1; data.path=DIR with a copy of the data set in Parquet, JSON lines or "
            "CSV; data=files data.path=DIR with files of your own; data=embedded, which is generated"
        )

    def _files(self, folder: Path) -> dict[str, list[Path]]:
        """The source's splits and their files, by the hub's conventions, which `datasets` knows."""
        from datasets import load_dataset_builder
        from datasets.exceptions import DatasetsError

        with _quiet("datasets"):
            try:
                found = load_dataset_builder(str(folder), data_dir=self.data_dir).config.data_files or {}
            except (OSError, ValueError, DatasetsError) as error:
                raise ConfigError(
                    [f"{self._below(folder)}: no data set there ({str(error).splitlines()[0]})"]
                ) from error
        return {str(split): [Path(file) for file in files] for split, files in found.items()}

    def _read(self, files: list[Path]) -> tuple[list[Row], list[str]]:
        """The rows of a split, and what is wrong with the others."""
        rows: list[Row] = []
        problems: list[str] = []
        dropped: list[str] = []
        for file in files:
            bad: list[str] = []
            try:
                for place, row in read_rows_of(records(file), self._row):
                    if isinstance(row, Row):
                        rows.append(row)
                    else:
                        without_text = isinstance(row, NoText) and self.rows_without_text == "drop"
                        (dropped if without_text else bad).append(f"{file}, {place}: {row}")
            except (OSError, ValueError, EOFError, csv.Error, zlib.error) as error:
                bad.append(f"{file}: cannot be read ({str(error).splitlines()[0]})")
            problems += shortened(file, bad)
        if dropped:
            log.warning(
                "%s: %d rows have no text and are left out (data.rows_without_text), the first: %s",
                self.path, len(dropped), dropped[0],
            )  # fmt: skip
        return rows, problems

    def _row(self, fields: Mapping[str, Any]) -> Row:
        if self.prompt_column is not None:
            row = Columns(self.prompt_column, self.label_column, self.chosen_column, self.rejected_column).row(fields)
            return Row(row.prompt + self.prompt_suffix, row.label, None, row.chosen, row.rejected)
        prompt, label = prompt_and_reply(value(fields, "label_column", self.label_column), self.label_column)
        if self.chosen_column is None or self.rejected_column is None:
            return Row(prompt, label)
        pair = []
        for option, column in (("chosen_column", self.chosen_column), ("rejected_column", self.rejected_column)):
            try:
                to, reply = prompt_and_reply(value(fields, option, column), column)
            except NoText:
                continue
            if to == prompt:
                pair.append(reply)
        return Row(prompt, label, None, *pair) if len(pair) == 2 else Row(prompt, label)

    def _cut(self, own: dict[str, list[Row]]) -> Splits:
        """The splits, from rows of which no prompt is there twice."""
        shuffled = {
            name: [rows[place] for place in numpy_stream(self.seed, "split", name).permutation(len(rows))]
            for name, rows in own.items()
        }
        train = shuffled["train"]
        held_out: dict[str, list[Row]] = {}
        for name, size in (("test", self.test), ("validation", self.validation)):
            if name in shuffled:
                held_out[name] = shuffled[name][:size]
            elif size is not None:
                held_out[name], train = train[:size], train[size:]
        if not train or not all(held_out.values()):
            cut = ", ".join(f"data.{name}={len(rows)}" for name, rows in held_out.items() if name not in shuffled)
            found = len(own["train"])
            raise ConfigError([f"{self.path}: {cut} leave nothing of the {found} different prompts of its train split"])
        return Splits(train[: self.train], held_out["validation"], held_out.get("test"))


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Without the library's own warnings: what it tells of a failure stands in our message."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
