"""`data=hub`: data sets of the Hugging Face hub, and local copies in Parquet, JSON or CSV."""

import re
from dataclasses import dataclass
from typing import ClassVar

from src.data.cut import cut_splits
from src.data.dialogue import DialogueColumns
from src.data.formats import KINDS, format_of, read_files
from src.data.hub_files import download, split_files
from src.data.rows import Columns, check_preference_columns
from src.data.splits import Splits, disjoint
from src.records import Row
from src.runtime.errors import ConfigError, require
from src.storage.files import files_below, is_local, local_path


@dataclass(frozen=True)
class HubData:
    """Rows of a data set, each prompt once, in the source's splits or in splits cut from train.

    Repeated prompts, and prompts of a held-out split, are dropped from each source split; then it is shuffled and cut
    to its size. A split that the source lacks is cut from train first, so that another size of train leaves it
    unchanged. Rows too long for the policy are dropped later, where its tokenizer is known.

    Args:
        path: name on the hub (owner/name), or a local folder.
        revision: the commit on the hub; ignored for a local folder.
        data_dir: the folder in the data set that holds the files; None for the data set itself.
        layout: "columns": prompt and label are texts in columns of their own. "dialogue": a column holds a whole
            dialogue, as a text or a list of messages, whose last reply is the label; see `src.data.dialogue`.
        prompt_column: None for dialogues, which contain their prompts.
        prompt_suffix: appended to every prompt of the layout "columns"; must not end in white space.
        label_column: column of the label, or of the dialogue that ends in the label.
        chosen_column, rejected_column: columns of two responses to the prompt, for collect=dataset; None where there
            are none. Dialogues that differ before their last reply make no pair.
        rows_without_text: "refuse" ends the run where a text is empty or a dialogue does not end in a reply, "drop"
            leaves such rows out and counts them. Any other fault of a row always ends the run.
        train_split, validation_split, test_split: names of the splits in the source; None cuts a split from train.
        train, validation, test: most rows of each split; None for all (and for no test split if the source has none).
        seed: seed of the shuffle. Not the run's seed, so that all runs see the same splits.
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
        named = list(self._source_names().values())
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
        """What is wrong, as far as it can be seen without reading or downloading: a local folder missing or empty."""
        if not is_local(self.path):
            known = re.fullmatch(r"[\w.-]+/[\w.-]+", self.path)
            return [] if known else [f"data.path={self.path}: no such folder, and no name on the hub (owner/name)"]
        folder = local_path(self.path) / (self.data_dir or "")
        if not folder.is_dir():
            hint = "; data.data_dir=null reads data.path itself" if self.data_dir else ""
            return [f"data.path={self.path}: no such folder: {folder}{hint}"]
        if not any(format_of(file) for file in files_below(folder)):
            return [f"data.path={self.path}: no data files in {folder}; expected {KINDS}"]
        return []

    def load(self, task: str) -> Splits:
        """Downloads the data set unless the hub's cache has it, reads it and makes the splits.

        Raises:
            ConfigError: if the data cannot be downloaded or has faults, each with its file and row.
        """
        return self._cut(self._source_rows(task))

    def rows(self, task: str) -> Splits:
        """The source's splits unchanged, repeated prompts included; splits that the source lacks as `load` cuts them.

        Raises:
            ConfigError: as `load` does.
        """
        source = self._source_rows(task)
        cut = self._cut(source)
        return Splits(source["train"], source.get("validation", cut.validation), source.get("test", cut.test))

    def _cut(self, source: dict[str, list[Row]]) -> Splits:
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        return cut_splits(disjoint(source, self.path), sizes, self.seed, self.path)

    def _source_names(self) -> dict[str, str]:
        """The source's names of the splits that it has, by ours."""
        splits = {"train": self.train_split, "validation": self.validation_split, "test": self.test_split}
        return {name: source for name, source in splits.items() if source is not None}

    def _source_rows(self, task: str) -> dict[str, list[Row]]:
        """The rows of the source's splits, by our names."""
        if problems := self.problems(task):
            raise ConfigError(problems)
        local = is_local(self.path)
        folder = local_path(self.path) if local else download(self.path, self.revision, self.data_dir)
        files = split_files(folder, self.data_dir)
        rows: dict[str, list[Row]] = {}
        problems = []
        for name, source in self._source_names().items():
            # The hub calls a file valid.jsonl "validation", but valid-00000-of-00001.parquet "valid".
            split = files.get(source) or files.get("validation" if source == "valid" else source)
            if split is None:
                known = ", ".join(sorted(files)) or "none"
                problems.append(f"data.{name}_split={source}: {self.path} has no such split, only {known}")
                continue
            rows[name], faults = read_files(split, self._columns().row, self.rows_without_text == "drop", self.path)
            problems += faults
            if not rows[name] and not faults:
                problems.append(f"{self.path}: no rows in the split {source}")
        if problems:
            raise ConfigError(problems)
        return rows

    def _columns(self) -> Columns | DialogueColumns:
        if self.prompt_column is None:
            return DialogueColumns(self.label_column, self.chosen_column, self.rejected_column)
        return Columns(
            self.prompt_column, self.label_column, self.chosen_column, self.rejected_column, self.prompt_suffix
        )
