"""One reader for all: every format, packing and encoding gives the same rows, for files, the hub and responses."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from src.after_training.responses_file import read_responses
from src.data.files import FilesData
from src.data.formats import FORMATS
from src.data.packing import PACKED
from src.records import Row
from src.runtime.errors import ConfigError
from tests.data.hub_data import configured
from tests.data.packed import pack

Texts = Sequence[tuple[str, str]]
# Also read with data=hub, which takes longer.
FROM_HUB = ("jsonl", "jsonl.gz", "json", "ndjson.xz", "csv.bz2", "tsv", "tsv.zip", "parquet", "parquet.gz")
TRAIN: Texts = [("2020-01-01", "007"), ('ü, 漢 🎉, "a"', "NA"), ("two\nlines", "a\tb\u2028c"), ("null", "1e3")]
VALIDATION: Texts = [("held out", "a label")]


def json_lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def separated(separator: str) -> Callable[[list[dict[str, str]]], str]:
    def write(rows: list[dict[str, str]]) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    return write


WRITERS: dict[str, Callable[[list[dict[str, str]]], str]] = {
    "lines.jsonl": json_lines,
    "lines.json": json_lines,
    "lines.ndjson": json_lines,
    "array.json": lambda rows: json.dumps(rows),
    "array on many lines.json": lambda rows: "\n" + json.dumps(rows, indent=1, ensure_ascii=False) + "\n\n",
    "array.jsonl": lambda rows: json.dumps(rows, indent=1, ensure_ascii=False),
    "comma.csv": separated(","),
    "tab.tsv": separated("\t"),
}


def parquet(rows: list[dict[str, str]]) -> bytes:
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), content)
    return content.getvalue()


def named(texts: Texts, label: str = "label") -> list[dict[str, str]]:
    return [{"prompt": prompt, label: text} for prompt, text in texts]


def files_data(path: Path, **changes: object) -> FilesData:
    fields = {
        "path": str(path),
        "split": None,
        "prompt_column": "prompt",
        "label_column": "label",
        "chosen_column": None,
        "rejected_column": None,
        "shared_prompts": "drop",
    }
    return FilesData(**(fields | changes))  # type: ignore[arg-type]


def check(folder: Path, suffix: str, write: Callable[[list[dict[str, str]]], bytes]) -> None:
    """Reads rows written one way as data=files, as data=hub and as responses."""
    pack(folder / f"train.{suffix}", write(named(TRAIN)))
    pack(folder / f"validation.{suffix}", write(named(VALIDATION)))
    splits = files_data(folder).load("tldr")
    assert splits.train == [Row(*texts) for texts in TRAIN] and splits.validation == [Row(*VALIDATION[0])]
    if suffix in FROM_HUB:
        hub = configured("hub_tldr", folder, test_split=None, test=None, label_column="label")
        assert sorted(row.label for row in hub.load("tldr").train) == sorted(label for _, label in TRAIN)
    responses, problems = read_responses(pack(folder / f"out.{suffix}", write(named(TRAIN, "response"))))
    assert responses is not None, problems
    assert (responses.texts, responses.prompts) == ([label for _, label in TRAIN], [prompt for prompt, _ in TRAIN])


@pytest.mark.parametrize("packed", ["", *PACKED, ".GZ"])
@pytest.mark.parametrize("kind", [*WRITERS, "table.parquet"])
def test_every_format_packed_or_not_gives_the_same_rows(tmp_path: Path, kind: str, packed: str) -> None:
    suffix = Path(kind).suffix[1:] + packed
    check(tmp_path, suffix, lambda rows: parquet(rows) if kind == "table.parquet" else WRITERS[kind](rows).encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("kind", ["lines.jsonl", "array on many lines.json", "comma.csv", "tab.tsv"])
def test_every_encoding_gives_the_same_rows(tmp_path: Path, kind: str, encoding: str, end: str) -> None:
    def write(rows: list[dict[str, str]]) -> bytes:
        text = WRITERS[kind](rows)
        # The writer of CSV has its own line ends, and keeps those within a text.
        return (text if kind.endswith("sv") else text.replace("\n", end)).encode(encoding)

    check(tmp_path, Path(kind).suffix[1:], write)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.csv", "prompt,label\nä,b\ncafé,b\n".encode("cp1252"), "line 2: 'utf-8' codec can't decode byte 0xe4"),
        ("train.jsonl", b'{"prompt": "caf\xe9", "label": "b"}', "line 1: 'utf-8' codec can't decode byte 0xe9"),
        ("train.json", b'[\n{"prompt": "caf\xe9", "label": "b"}]', "line 2: 'utf-8' codec can't decode byte 0xe9"),
        ("train.json", b'[\n{"prompt": "a", "label": "b"},\n', "no JSON array of objects, and no line of JSON"),
        ("train.json", b'{\n"prompt": "a",\n"label": "b"\n}\n', "one JSON dict; expected an array of objects"),
        ("train.json", b'[{"prompt": "a", "label": 3},\n{"prompt": "a"}, 4]', "row 1: 'label' is int, expected text"),
        ("train.json", b"[]", "no rows"),
        ("train.csv", b"prompt,label,label\na,b,c\n", "the header has 'label' twice"),
        ("train.csv", b"prompt,label\na,b\nc\rd,e\n", "row 2: new-line character seen in unquoted field"),
        ("train.tsv", b"prompt\tlabel\na\n", "row 1: 1 fields, and the header has 2"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "validation.jsonl").write_text(json_lines(named(VALIDATION)))
    problems = files_data(tmp_path).problems("tldr")
    assert problems and problems[0].startswith(f"{tmp_path / name}") and said in problems[0]
    (tmp_path / "validation.jsonl").unlink()
    with pytest.raises(ConfigError, match="train"):
        configured("hub_tldr", tmp_path, validation_split=None, test_split=None, label_column="label").load("tldr")


def test_all_formats_are_tried() -> None:
    assert {Path(kind).suffix for kind in [*WRITERS, "table.parquet"]} == set(FORMATS)
