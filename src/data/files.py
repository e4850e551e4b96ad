"""`data=files`: a folder of JSON lines, one file per split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from src.data.rows import Columns, check_preference_columns, json_lines, read_rows_of, shortened
from src.data.splits import Splits, disjoint, shared_prompts
from src.records import Row
from src.runtime.errors import ConfigError, require


@dataclass(frozen=True)
class FilesData:
    """Rows of train.jsonl, validation.jsonl and, if it exists, test.jsonl in a folder.

    White space around texts is removed, since no response may follow a lone space. Of rows with the same prompt, a
    split keeps the first.

    Args:
        path: the folder.
        prompt_column, label_column: names of the columns.
        chosen_column, rejected_column: columns of two responses to the prompt, for collect=dataset; None where there
            are none.
        shared_prompts: for prompts that occur in two splits: "drop" removes them from train (and from validation, if
            test has them), "refuse" ends the run.
    """

    path: str | None
    prompt_column: str
    label_column: str
    chosen_column: str | None
    rejected_column: str | None
    shared_prompts: str
    has_gold_score: ClassVar[bool] = False

    def __post_init__(self) -> None:
        known = self.shared_prompts in ("drop", "refuse")
        require((known, f"shared_prompts={self.shared_prompts}: expected drop or refuse"))
        check_preference_columns(self.chosen_column, self.rejected_column)

    @property
    def has_preferences(self) -> bool:
        return self.chosen_column is not None

    def problems(self, task: str) -> list[str]:
        """Why the folder cannot serve a task, a line each: missing files, and the first malformed rows of each file."""
        if self.path is None:
            return ["data=files needs data.path=DIR, a folder with train.jsonl and validation.jsonl"]
        folder = Path(self.path)
        if not folder.is_dir():
            return [f"data.path={self.path}: no such folder"]
        problems = []
        for name in ("train", "validation", "test"):
            file = folder / f"{name}.jsonl"
            if file.is_file():
                faulty = [f"{file}, {place}: {row}" for place, row in self._read(file) if isinstance(row, ValueError)]
                problems += shortened(file, faulty)
                if not faulty and not file.read_text(encoding="utf-8", errors="replace").strip():
                    problems.append(f"{file}: no rows")
            elif name != "test":
                problems.append(f"{file}: no such file; data=files needs train.jsonl and validation.jsonl")
        if not problems and self.shared_prompts == "refuse":
            problems = [
                f"{folder}: {line}; data.shared_prompts=drop leaves them out"
                for line in shared_prompts(self.rows(task))
            ]
        return problems

    def load(self, task: str) -> Splits:
        """Reads the splits.

        Raises:
            ConfigError: if there are `problems`, or no row of a split is left.
        """
        if problems := self.problems(task):
            raise ConfigError(problems)
        rows = disjoint(self.rows(task).named(), self.path)
        return Splits(rows["train"], rows["validation"], rows.get("test"))

    def rows(self, task: str) -> Splits:
        """All rows of the files in their order, repeated and shared prompts included."""
        folder = Path(self.path or "")
        read = {
            file.stem: [row for _, row in self._read(file) if isinstance(row, Row)]
            for file in (folder / f"{name}.jsonl" for name in ("train", "validation", "test"))
            if file.is_file()
        }
        return Splits(read["train"], read["validation"], read.get("test"))

    def _read(self, file: Path) -> Iterator[tuple[str, Row | ValueError]]:
        """Each line's place, and its row or the error that reading it raised."""
        columns = Columns(self.prompt_column, self.label_column, self.chosen_column, self.rejected_column)
        with file.open("rb") as lines:
            yield from read_rows_of(json_lines(lines), columns.row)
