"""`data=files`: a folder with a file for each split, or one file whose rows are split here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from src.data.formats import FORMATS, KINDS, format_of, read_files
from src.data.packing import unpacked_name
from src.data.rows import Columns, check_preference_columns
from src.data.splits import Splits, disjoint, shared_prompts
from src.records import Row
from src.runtime.errors import ConfigError, require
from src.storage.files import local_path

NAMES = ("train", "validation", "test")
NEEDS = f"data=files needs a file for train and one for validation: {KINDS}"


@dataclass(frozen=True)
class FilesData:
    """Rows of train, validation and, if there is one, test.

    White space around texts is removed, since no response may follow a lone space. Of rows with the same prompt, a
    split keeps the first.

    Args:
        path: a folder with train.jsonl, validation.jsonl and, if there is one, test.jsonl, in this or another format of
            `src.data.formats`; with `split`, one such file, or the folder of a single one.
        split: shares of train, validation and, if there are three, test, for one file of rows. The split of a row
            depends on its prompt alone, not on the other rows or on their order. None for a file for each split.
        prompt_column, label_column: names of the columns.
        chosen_column, rejected_column: columns of two responses to the prompt, for collect=dataset; None where there
            are none.
        shared_prompts: for prompts that occur in two splits: "drop" removes them from train (and from validation, if
            test has them), "refuse" ends the run.
    """

    path: str | None
    split: list[float] | None
    prompt_column: str
    label_column: str
    chosen_column: str | None
    rejected_column: str | None
    shared_prompts: str
    has_gold_score: ClassVar[bool] = False

    def __post_init__(self) -> None:
        known = self.shared_prompts in ("drop", "refuse")
        shares = self.split
        sound = shares is None or (len(shares) in (2, 3) and min(shares) > 0 and abs(sum(shares) - 1) < 1e-6)
        require(
            (known, f"shared_prompts={self.shared_prompts}: expected drop or refuse"),
            (
                sound,
                f"split={shares}: expected the shares of train, validation and test, or of train and validation: "
                "above 0, and 1 in sum, such as [0.8,0.1,0.1]",
            ),
        )
        check_preference_columns(self.chosen_column, self.rejected_column)

    @property
    def has_preferences(self) -> bool:
        return self.chosen_column is not None

    def problems(self, task: str) -> list[str]:
        """Why the files cannot serve a task, a line each: missing files, and the first malformed rows of each file."""
        return self._read()[1]

    def load(self, task: str) -> Splits:
        """Reads the splits.

        Raises:
            ConfigError: if there are `problems`, or no row of a split is left.
        """
        read, problems = self._read()
        if problems:
            raise ConfigError(problems)
        rows = disjoint(read, self.path)
        return Splits(rows["train"], rows["validation"], rows.get("test"))

    def rows(self, task: str) -> Splits:
        """All rows of the files in their order, repeated and shared prompts included.

        Raises:
            ConfigError: if there are `problems`.
        """
        read, problems = self._read()
        if problems:
            raise ConfigError(problems)
        return Splits(read["train"], read["validation"], read.get("test"))

    def _read(self) -> tuple[dict[str, list[Row]], list[str]]:
        """The rows of the splits that there are, and the problems."""
        files, problems = self._files()
        columns = Columns(self.prompt_column, self.label_column, self.chosen_column, self.rejected_column)
        read: dict[str, list[Row]] = {}
        for name, file in files.items():
            read[name], faulty = read_files([file], columns.row, False, str(self.path))
            problems += faulty
            if not read[name] and not faulty:
                problems.append(f"{file}: no rows")
        if self.split is not None and not problems:
            read = divided_by_prompt(read["train"], self.split)
            problems = [
                f"data.split={self.split} leaves no prompt of {self.path} for {name}: give {name} a larger share, or "
                "a file of its own"
                for name, rows in read.items()
                if not rows
            ]
        if self.shared_prompts == "refuse" and not problems:
            splits = Splits(read["train"], read["validation"], read.get("test"))
            shared = shared_prompts(splits)
            problems = [f"{self.path}: {line}; data.shared_prompts=drop leaves them out" for line in shared]
        return read, problems

    def _files(self) -> tuple[dict[str, Path], list[str]]:
        """The file of each split, or with `split` the one file under the name of train; and the problems."""
        if self.path is None:
            return {}, ["data=files needs data.path=DIR, a folder with train.jsonl and validation.jsonl"]
        path = local_path(self.path)
        if path.is_file():
            if format_of(path) is None:
                return {}, [f"data.path={self.path}: expected {KINDS}, or a folder of them"]
            if self.split is None:
                return {}, [
                    f"data.path={self.path} is one file: add data.split=[0.8,0.1,0.1], the shares of train, validation "
                    "and test, or give a folder with a file for each"
                ]
            return {"train": path}, []
        if not path.is_dir():
            return {}, [f"data.path={self.path}: no such folder"]
        there = sorted(file for file in path.iterdir() if file.is_file() and format_of(file))
        if self.split is not None:
            if len(there) == 1:
                return {"train": there[0]}, []
            listed = ", ".join(file.name for file in there[:5]) or "none"
            return {}, [f"data.path={self.path} with data.split: expected one file of rows, got {listed}"]
        return _files_of_splits(path, there)


def _files_of_splits(folder: Path, there: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """The file of each split in a folder, among its data files; and the problems."""
    files, problems = {}, []
    for name in NAMES:
        named = [file for file in there if unpacked_name(file.name) in {f"{name}{suffix}" for suffix in FORMATS}]
        if len(named) > 1:
            listed = " and ".join(str(file.name) for file in named)
            problems.append(f"{folder}: {listed} are all of the split {name}; expected one file of it")
        elif named:
            files[name] = named[0]
        elif name != "test":
            others = sorted(file.name for file in folder.iterdir() if file.name.lower().startswith(f"{name}."))
            found = f", only {', '.join(others[:5])}" if others else ""
            problems.append(f"{folder / name}.jsonl: no such file{found}; {NEEDS}")
    return files, problems


def divided_by_prompt(rows: Sequence[Row], shares: Sequence[float]) -> dict[str, list[Row]]:
    """Splits rows by their prompts, so that rows with one prompt are in one split.

    The split is drawn by a hash of the prompt: rows that are added, removed or moved leave all others where they are.

    Args:
        rows: in any order.
        shares: of the prompts, for train, validation and, if there are three, test; 1 in sum.

    Returns:
        The rows of each split in their order; a split may be empty.
    """
    split: dict[str, list[Row]] = {name: [] for name in NAMES[: len(shares)]}
    ends = list(accumulate(shares))[:-1]
    for row in rows:
        drawn = int.from_bytes(hashlib.sha256(row.prompt.encode()).digest()[:8], "big") / 2**64
        split[NAMES[sum(drawn >= end for end in ends)]].append(row)
    return split
